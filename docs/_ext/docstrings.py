"""Docstrings are plain text: an indented block after a paragraph is shown as it stands."""

from __future__ import annotations


def literal(lines: list[str]) -> list[str]:
    """The lines with `::` in front of each indented block that follows a blank line and a paragraph without indentation."""
    found: list[str] = []
    for place, line in enumerate(lines):
        opens = line.startswith("    ") and place > 1 and not lines[place - 1].strip()
        before = next((text for text in reversed(lines[:place]) if text.strip()), "")
        if opens and before[:1] not in ("", " ") and not before.endswith("::"):
            found += ["::", ""]
        found.append(line)
    return found


def process(app, what, name, obj, options, lines) -> None:
    lines[:] = literal(lines)


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=100)  # before numpydoc
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
