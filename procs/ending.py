"""How a process of a live engine ends: told by a word in shared memory, in its turn, its work done.

::

    RUNNING --word, or no owner for too long--> LEAVING --nothing in flight, nobody before us lives--> over
       |                                            |-- time is over ------------------------------> over
       |--SIGTERM, no executor here-------------------------------------------------------------> over
       '--SIGTERM--> LEAVING, waiting for nobody; a second one --------------------------------------> over

The first to end is the process with the executor (``Description.endings``): it opens nothing more, cancels
what rests, and waits until every plan has come to its end, for as long as ``drain_max_ns``. Those that it
hears of run until it has gone, and that is: until it has said so. One that has died is begun again by the
owner, while there is one, to resolve what it had in flight. Nobody has to hand out turns: that a process
lives its lock says.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.config import Role
from engine.units import NS_PER_S
from procs.control_words import ControlWords, Word
from procs.run_directory import Description, owner_lives, process_lives

OWNER_EVERY_NS: Final = NS_PER_S
LATER_NS: Final = 5 * NS_PER_S  # who waits for others waits that much longer than they may take


class Ending:
    """Of the process ``name``. ``begin`` is called once, when it is to leave, with nothing to be opened.

    ``ended_well``: whether the process of that name has said that it ended as asked. Times are of the
    monotonic clock.
    """

    def __init__(
        self,
        description: Description,
        name: str,
        path: Path,
        words: ControlWords,
        begin: Callable[[], object],
        ended_well: Callable[[str], bool],
    ) -> None:
        self.is_leaving = False
        self._path = path
        self._words = words
        self._begin = begin
        self._ended_well = ended_well
        self._drains = Role.EXECUTOR in description.process(name).roles
        self._before = description.endings[: description.endings.index(name)]
        self._config = description.config.supervisor
        self._until_ns = 0
        self._orphaned_ns = 0  # since when nobody owns the engine; 0: somebody does
        self._owner_looked_ns = 0
        self._waits = True  # for those that end before us
        self._is_now = False

    def look(self, now_ns: int) -> None:
        """See whether the engine is to end, and who still lives; some times a second."""
        if self._is_orphan(now_ns):
            self._words.set(Word.STOPPING)
        if self._words.is_set(Word.STOPPING):
            self._leave(now_ns)
        if self.is_leaving and self._waits:
            self._waits = any(self._is_awaited(name) for name in self._before)

    def terminate(self, now_ns: int) -> None:
        """SIGTERM has come: for this process alone, whatever the others do."""
        if self.is_leaving or not self._drains:
            self._is_now = True
        self._waits = False
        self._leave(now_ns)

    def is_over(self, now_ns: int, is_done: Callable[[], bool]) -> bool:
        """Whether to end now; ``is_done`` answers whether nothing is in flight and nothing is left to do."""
        if not self.is_leaving:
            return False
        if self._is_now or now_ns >= self._until_ns:
            return True
        return not self._waits and is_done()

    def _leave(self, now_ns: int) -> None:
        if not self.is_leaving:
            self.is_leaving = True
            self._until_ns = now_ns + self._config.drain_max_ns + (0 if self._drains else LATER_NS)
            self._begin()

    def _is_awaited(self, name: str) -> bool:
        """Whether a process before us lives, or is the executor's, died, and will be begun again."""
        if process_lives(self._path, name):
            return True
        drains = name == self._before[0]
        return drains and not self._ended_well(name) and owner_lives(self._path)

    def _is_orphan(self, now_ns: int) -> bool:
        """Whether the engine has had no owner for too long."""
        if now_ns - self._owner_looked_ns >= OWNER_EVERY_NS:
            self._owner_looked_ns = now_ns
            if owner_lives(self._path):
                self._orphaned_ns = 0
            elif not self._orphaned_ns:
                self._orphaned_ns = now_ns
        return self._orphaned_ns > 0 and now_ns - self._orphaned_ns >= self._config.orphan_max_ns
