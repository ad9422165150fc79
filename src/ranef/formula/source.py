"""The text of a formula, and errors that point into it."""

from __future__ import annotations

from dataclasses import dataclass

from ranef.errors import FormulaError

WINDOW = 60  # characters shown on either side of the place in a long formula


@dataclass(frozen=True)
class Source:
    """A formula as it was written."""

    text: str

    def error(self, message: str, start: int, stop: int, hint: str | None = None) -> FormulaError:
        """The error to raise about `text[start:stop]`; of a long formula it shows the neighbourhood only."""
        text = "".join(" " if character.isspace() else character for character in self.text)
        if len(text) > 3 * WINDOW:
            first, last = max(0, start - WINDOW), min(len(text), start + WINDOW)
            before, after = "..." if first else "", "..." if last < len(text) else ""
            text, shift = before + text[first:last] + after, len(before) - first
            start, stop = start + shift, min(stop, last) + shift
        return FormulaError(message, text=text, start=start, stop=max(stop, start + 1), hint=hint)
