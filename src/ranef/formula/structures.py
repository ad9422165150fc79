"""The words in front of a bar that name a covariance structure, `diag(x | g)`, with the spellings of other programs."""

from __future__ import annotations

STRUCTURE_WORDS: dict[str, str] = {
    "un": "un",
    "us": "un",  # glmmTMB, lme4, mmrm
    "unstructured": "un",
    "diag": "diag",
    "vc": "diag",  # SAS: variance components
    "id": "id",
    "homdiag": "id",  # glmmTMB
}


def structure_of(word: str) -> str | None:
    """The structure that a word in front of a bar stands for, in any case of letters; None when there is none of that name."""
    return STRUCTURE_WORDS.get(word.lower())


def known_structures() -> str:
    """The words that may stand in front of a bar, for messages."""
    return ", ".join(f"`{word}`" for word in STRUCTURE_WORDS)
