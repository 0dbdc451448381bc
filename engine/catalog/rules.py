"""Fingerprints of rule texts: what a person approved, so that a changed rule is noticed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

_SPACE: Final = re.compile(r"\s+")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


def normalised(rules_text: str) -> str:
    """Rule text without what carries no meaning: compatibility forms, case, and the shape of white space."""
    folded = unicodedata.normalize("NFKC", rules_text).casefold()
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", folded)).strip()


def fingerprint(rules_text: str) -> str:
    """SHA-256 (64 hex digits) of the normalised text; "" for a text without content: nothing to approve."""
    text = normalised(rules_text)
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def is_fingerprint(text: str) -> bool:
    """Whether ``text`` has the form of a fingerprint."""
    return _FINGERPRINT.fullmatch(text) is not None
