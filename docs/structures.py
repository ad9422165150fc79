"""Writes docs/reference/structures.md from the registry: `python docs/structures.py`. A test compares the page with the registry."""

from __future__ import annotations

from pathlib import Path

from ranef.covariance.about import Names
from ranef.covariance.registry import FACTORED, STRUCTURES, Entry

PAGE = Path(__file__).with_name("reference") / "structures.md"
HEAD = """# Covariance structures

The words in front of a bar, `ar1(visit | id)`, and in `residual=`. The words of other programs are understood where they mean one
structure: `us`, `homcs`, `hetar1`, `ante1`, `corcar1`, … Mind that glmmTMB's `cs` and `toep` have a standard deviation for each position:
they are `csh` and `toeph` here. How they are computed: [covariance structures](../explanation/covariance-structures.md); a new one:
[add a structure](../how-to/add-a-structure.md).

*Number* counts the parameters besides standard deviations: a word that ends in h has k of them, others have one.

"""
TAIL = """
*Options* stand after the bar: `toep(visit | id, bands=3)`, `mat(x + y | site, smoothness=1.5)`, `rr(0 + a + b + c | id, d=1)`. Structures
of coordinates, `d_ij` or `t_i` in their formulas, take columns of numbers: `sp_exp(x + y | site)`, `ou(day | id)`. The others take a
factor, read in the order of its levels, or several columns.
"""


def page() -> str:
    """The whole page."""
    return HEAD + _table("Correlations", False) + "\n" + _table("Covariances, with all their parameters", True) + TAIL


def _table(title: str, factored: bool) -> str:
    rows = [entry for entry in STRUCTURES.values() if (entry.kind in FACTORED) == factored]
    head = "| word | structure | entry | number | options | SAS | nlme | glmmTMB | mmrm |\n" + "| --- " * 9 + "|\n"
    return f"**{title}**\n\n{head}" + "".join(map(_row, rows))


def _row(entry: Entry) -> str:
    about, names = entry.about, entry.names
    title = about.title + (", heterogeneous" if entry.heterogeneous else "")
    options = ", ".join(f"`{name}=`" for name in about.options)
    cells = [
        f"`{entry.word}`",
        title,
        f"${about.formula.replace('|', chr(92) + 'vert ')}$",
        about.count,
        options,
        *_elsewhere(names),
    ]
    return "| " + " | ".join(cells) + " |\n"


def _elsewhere(names: Names) -> list[str]:
    return [names.sas, names.nlme, names.glmmtmb, names.mmrm]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
