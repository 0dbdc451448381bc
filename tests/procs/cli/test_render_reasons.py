"""Every reason code has its sentence."""

from __future__ import annotations

import pytest

from engine.reasons import Reason, label
from procs.cli.render_reasons import SENTENCES, UNKNOWN, sentence_of


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    sentence = sentence_of(label(reason))
    assert sentence == SENTENCES[reason]
    assert 10 < len(sentence) <= 70
    assert sentence[0].islower() or sentence.startswith(("YES", "NO"))
    assert not sentence.endswith(".")
    assert "_" not in sentence


def test_no_two_reasons_read_the_same() -> None:
    assert len(set(SENTENCES.values())) == len(Reason) == len(SENTENCES)


def test_a_word_of_another_build_is_said_to_be_unknown() -> None:
    assert sentence_of("reason_999") == UNKNOWN
