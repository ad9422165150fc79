"""Writes docs/reference/structures.md from the registry: `python docs/structures.py`. A test compares the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ranef.covariance.registry import FACTORED, STRUCTURES, Entry

PAGE = Path(__file__).with_name("reference") / "structures.md"
HEAD = """# Covariance structures

The words in front of a bar, `ar1(visit | id)`, and in `residual=`. How they are computed:
[covariance structures](../explanation/covariance-structures.md); a new one: [add a structure](../how-to/add-a-structure.md).

"""
MIDDLE = """
A word with **h** at its end has a standard deviation for each position, k in all; without it there is one for all. *Parameters*
counts those of the correlation, and all of them where a covariance is given.

*Options* stand after the bar: `toep(visit | id, bands=3)`, `mat(x + y | site, smoothness=1.5)`, `rr(0 + a + b + c | id, d=1)`.
Structures with distances d or times t in their formulas take columns of numbers: `sp_exp(x + y | site)`, `ou(day | id)`. The others
take a factor, read in the order of its levels, or several columns.

## In other programs

Their words are understood where they mean one structure: `us`, `homcs`, `hetar1`, `ante1`, `corcar1`, … Mind that glmmTMB's `cs`
and `toep` have a standard deviation for each position: they are `csh` and `toeph` here.

"""


def page() -> str:
    """The whole page."""
    plain = [entry for entry in STRUCTURES.values() if not entry.heterogeneous]
    plain.sort(key=lambda entry: entry.kind in FACTORED)
    own = _table(("word", "with h", "structure", "entry", "parameters", "options"), plain, _own)
    return HEAD + own + MIDDLE + _table(("word", "SAS", "nlme", "glmmTMB", "mmrm"), list(STRUCTURES.values()), _elsewhere)


def _table(heads: tuple[str, ...], entries: list[Entry], row: Callable[[Entry], list[str]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *map(row, entries)]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _own(entry: Entry) -> list[str]:
    about = entry.about
    other = f"`{about.word}h`" if about.heterogeneous is not None else ""
    formula = about.formula.replace("|", r"\vert ")  # a bar would end the cell
    return [f"`{about.word}`", other, about.title, f"${formula}$", about.count, ", ".join(f"`{name}=`" for name in about.options)]


def _elsewhere(entry: Entry) -> list[str]:
    names = entry.names
    return [f"`{entry.word}`", names.sas, names.nlme, names.glmmtmb, names.mmrm]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
