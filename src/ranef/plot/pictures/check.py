"""The panels of `ranef.check`, with their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.plot import labels
from ranef.plot.figures import Size, caption_all, several
from ranef.plot.picture import picture
from ranef.plot.pictures import panels as drawing
from ranef.plot.style import INK, VERMILLION

if TYPE_CHECKING:
    from ranef.inference.diagnostics import Check

MAIN = ("linearity", "scale", "qq_residuals", "acf", "influence", "qq_uniform")
MOST_EFFECTS = 3  # random effects with a panel of their own among the main ones
SIGN = {"fine": "fine", "look": "look closer", "concern": "concern"}
WORST = ("concern", "look", "fine")


@picture
def check(source: Check | Fit, panels: str | Sequence[str] = "main", *, ax: Any = None, size: Size = None, **options: Any) -> Any:
    """The pictures behind the verdicts of `ranef.check`, one a panel; what is not fine has its title in colour.

    Parameters
    ----------
    source
        The answer of `ranef.check`, or a fit, which is then checked with `options`.
    panels
        ``"main"``, ``"all"``, or names of `Check.panels`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> axes = ranef.plot.check(m)
    """
    found = _checked(source, options)
    names = _chosen(found, panels)
    axes = several(ax, len(names), size, columns=min(3, len(names)), panel=(2.7, 2.3))
    for axis, name in zip(axes, names, strict=True):
        words, detail = drawing.draw(axis, name, found.panels)
        verdict = _verdict(found, name)
        title = f"{words} – {SIGN[verdict]}" if verdict in SIGN else words
        axis.set_title(f"{title}\n{detail}" if detail else title, color=VERMILLION if verdict == "concern" else INK, fontsize=8.0)
        _with_units(axis, found.fit)
    caption_all(axes, "Titles in colour: concern. Bands hold all points at once in 95 % of data from the model.")
    return axes if len(axes) > 1 else axes[0]


def _checked(source: Any, options: Any) -> Check:
    from ranef.inference.diagnostics import check as checked

    answer: Check = checked(source, **options) if isinstance(source, Fit) else source
    return answer


def _chosen(found: Check, panels: str | Sequence[str]) -> list[str]:
    drawable = [name for name in found.panels if drawing.known(name)]
    if isinstance(panels, str) and panels == "all":
        return drawable
    if isinstance(panels, str) and panels == "main":
        effects = [name for name in drawable if name.startswith("qq_ranef")][:MOST_EFFECTS]
        return [name for name in drawable if name in MAIN or name in effects]
    asked = list(panels) if isinstance(panels, Sequence) and not isinstance(panels, str) else [panels]
    unknown = [name for name in asked if not (isinstance(name, str) and name in drawable)]
    if unknown or not asked:
        raise ModelError(f"The check has no panel {unknown[:1]}.", hint=f"It has: {', '.join(drawable)}.")
    return asked


def _verdict(found: Check, name: str) -> str:
    """The worst verdict about what this panel shows."""
    own = [one for one in found.assessments if one.panel == name]
    words = {one.verdict for one in own}
    return next((word for word in WORST if word in words), "")


def _with_units(ax: Any, fit: Fit) -> None:
    unit = labels.units(fit).get(fit.model.design.response)
    if unit and ax.get_xlabel() == "Fitted value":
        ax.set_xlabel(f"Fitted value ({unit})")
    if unit and ax.get_ylabel() == "Residual":
        ax.set_ylabel(f"Residual ({unit})")
