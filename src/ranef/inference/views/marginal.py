"""The covariance matrix that a model implies for the rows of one group, over time or another column: V = Z Omega Z' + R.

With a random intercept all covariances are alike (compound symmetry); with a random slope variances and correlations change over
time. Laird and Ware (1982), Biometrics 38, 963-974, eq. 2.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.arguments import checked
from ranef.design import Array
from ranef.errors import ModelError
from ranef.fit.points import Points, design_points
from ranef.fit.rows import needs_rows
from ranef.inference.views.columns import column, outermost
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MOST = 200  # rows of one group


@checked
def marginal_covariance(
    fit: Fit, group: str | None = None, *, level: Any = None, x: str | None = None, correlation: bool = False
) -> Table:
    """The marginal covariance (or correlation) matrix of the rows of one level: a column of labels, and a column for each row.

    Parameters
    ----------
    group, level
        The grouping factor, by default the one that contains all others, and one of its levels: by default the first of those with
        most rows. All random terms of the model count.
    x
        The column that labels and orders the rows; by default the numeric covariate of a random slope, else the row numbers.

    Raises ModelError for an unknown group or level, a saved model, and more than 200 rows.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.marginal_covariance(m)
    Marginal covariance
    Row        1        2        3        4        5
    ------------------------------------------------
    1    4215.30  1764.05  1764.05  1764.05  1764.05
    2    1764.05  4215.30  1764.05  1764.05  1764.05
    3    1764.05  1764.05  4215.30  1764.05  1764.05
    4    1764.05  1764.05  1764.05  4215.30  1764.05
    5    1764.05  1764.05  1764.05  1764.05  4215.30
    Implied by the model for the 5 rows of one level of Batch.
    """
    needs_rows(fit, "marginal_covariance()")
    if fit.model.design.residual is not None:
        return _structured(fit, level, correlation)
    grouping = outermost(fit, group)
    rows = _rows(grouping.codes, _place(grouping.levels, grouping.codes, level, grouping.name))
    name, labels, rows = _labels(fit, x, rows)
    if len(rows) > MOST:
        raise ModelError(f"The level has {len(rows):,} rows; the matrix is made for up to {MOST}.", hint="Name a level with fewer.")
    V = covariance_of(fit, design_points(fit.model.design, fit.criterion.layout), rows)
    if correlation:
        sd = np.sqrt(np.diag(V))
        V = V / np.outer(sd, sd)
    columns = {name: labels, **{label: V[:, j] for j, label in enumerate(labels)}}
    what = "correlation" if correlation else "covariance"
    notes = (f"Implied by the model for the {len(rows)} rows of one level of {grouping.name}.",)
    return Table(columns, title=f"Marginal {what}", notes=notes, frame_kind=fit.model.rows.frame)


def _structured(fit: Fit, level: Any, correlation: bool) -> Table:
    """Of a model with a residual structure: over its visits, or of the rows of one subject where there are random effects, too."""
    given = {"subject": level, "marginal": bool(fit.model.design.terms), "correlation": correlation}
    return fit.residual_covariance(**given)


def covariance_of(fit: Fit, points: Points, rows: NDArray[np.intp]) -> Array:
    """(c, c) sigma^2 (Z Omega Z' + W^-1) of these rows."""
    V = np.diag(points.noise[rows])
    for f, (codes, z) in enumerate(zip(points.codes, points.z, strict=True)):
        own = z[rows] @ fit.solution.root(f)
        V = V + own @ own.T * (codes[rows][:, None] == codes[rows])
    return np.asarray(fit.solution.sigma**2 * V)


def _place(levels: NDArray[Any], codes: NDArray[np.intp], level: Any, name: str) -> int:
    if level is None:
        return int(np.argmax(np.bincount(codes, minlength=len(levels))))
    found = [place for place, one in enumerate(levels) if str(one) == str(level)]
    if not found:
        raise ModelError(f"{name!r} has no level {level!r}.", hint=f"Levels: {', '.join(map(str, levels[:20]))}.")
    return found[0]


def _rows(codes: NDArray[np.intp], place: int) -> NDArray[np.intp]:
    return np.flatnonzero(codes == place)


def _labels(fit: Fit, x: str | None, rows: NDArray[np.intp]) -> tuple[str, list[str], NDArray[np.intp]]:
    """(name, labels, rows in the order of x); labels that occur more than once are numbered."""
    slopes = [name for term in fit.model.design.terms for name in term.names if name != "(Intercept)"]
    if x is None:
        numeric = [name for name in slopes if _is_column(fit, name)]
        x = numeric[0] if numeric else None
    if x is None:
        return "row", [str(place + 1) for place in range(len(rows))], rows
    found = column(fit, x)
    keys = found.numbers if found.numbers is not None else found.codes
    assert keys is not None
    rows = rows[np.argsort(keys[rows], kind="stable")]
    texts = [_text(found, int(row)) for row in rows]
    seen: dict[str, int] = {}
    for place, text in enumerate(texts):
        seen[text] = seen.get(text, 0) + 1
        if texts.count(text) > 1:
            texts[place] = f"{text} ({seen[text]})"
    return x, texts, rows


def _text(found: Any, row: int) -> str:
    return f"{found.numbers[row]:g}" if found.numbers is not None else str(found.levels[found.codes[row]])


def _is_column(fit: Fit, name: str) -> bool:
    from ranef.schema.frames import open_frame

    return name in open_frame(fit.model.recipe["data"]).names
