"""Run the examples of pages (.md) and docstrings (.py) again and write what they print:

    python docs/rewrite.py docs/tutorials/*.md src/ranef/api.py

Read the difference before you commit it: the tests compare with what stands there.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import os
import re
import sys
import tempfile
import textwrap
import traceback
from pathlib import Path

BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
PARSER = doctest.DocTestParser()


def rewritten(text: str, names: dict) -> str:
    """The same text with each example followed by what it prints now. `names` are those that the examples see and make."""
    margin = " " * min((len(line) - len(line.lstrip()) for line in text.splitlines() if line.strip()), default=0)
    pieces = PARSER.parse(text)  # takes the margin off texts
    return "".join(textwrap.indent(piece, margin) if isinstance(piece, str) else _again(piece, names) for piece in pieces)


def _again(example: doctest.Example, names: dict) -> str:
    margin = " " * example.indent
    first, *rest = example.source.splitlines()
    lines = [f">>> {first}", *(f"... {line}".rstrip() for line in rest)]
    said = example.want if doctest.SKIP in example.options else _said(example.source, names)
    return "".join(f"{margin}{line}".rstrip() + "\n" for line in lines + [line or "<BLANKLINE>" for line in said.splitlines()])


def _said(source: str, names: dict) -> str:
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(source, "<example>", "single"), names)
    except Exception as error:
        return "Traceback (most recent call last):\n" + "".join(traceback.format_exception_only(error))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def page(text: str) -> str:
    names: dict = {}

    def again(block: re.Match) -> str:
        margin, code = block[1], block[2]
        return f"{margin}```python\n{rewritten(code, names)}{margin}```" if ">>>" in code else block[0]

    return BLOCK.sub(again, text)


def module(text: str) -> str:
    """A source file with the examples of its docstrings, each docstring by itself."""
    lines = text.splitlines(keepends=True)
    for docstring in reversed(_docstrings(ast.parse(text))):
        first, last = docstring.lineno - 1, docstring.end_lineno - 1  # without the line of the closing quotes
        if ">>>" in (old := "".join(lines[first:last])):
            lines[first:last] = [rewritten(old, {})]
    return "".join(lines)


def _docstrings(tree: ast.Module) -> list[ast.Constant]:
    owners = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))]
    bodies = [owner.body[0] for owner in owners if owner.body and isinstance(owner.body[0], ast.Expr)]
    found = [body.value for body in bodies if isinstance(body.value, ast.Constant) and isinstance(body.value.value, str)]
    return sorted(found, key=lambda constant: constant.lineno)


def main(paths: list[str]) -> None:
    files = [Path(path).resolve() for path in paths]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for file in files:
            old = file.read_text(encoding="utf-8")
            new = (module if file.suffix == ".py" else page)(old)
            print(f"{file.name}: {'changed' if new != old else 'as it was'}", file=sys.stderr)
            file.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
