"""The words in front of a bar that name a covariance structure, `diag(x | g)`, with the spellings of other programs.

They are those of the registry of structures, which is imported when a formula has such a word: reading others needs no numbers.
"""

from __future__ import annotations


def structure_of(word: str) -> str | None:
    """The structure that a word in front of a bar stands for, in any case of letters; None when there is none of that name."""
    from ranef.covariance import word_of

    return word_of(word)


def options_of(word: str) -> tuple[str, ...]:
    """The options that a structure takes after the bar."""
    from ranef.covariance import STRUCTURES

    return STRUCTURES[word].about.options


def known_structures() -> str:
    """The words that may stand in front of a bar, for messages."""
    from ranef.covariance import STRUCTURES

    return ", ".join(f"`{word}`" for word in STRUCTURES)
