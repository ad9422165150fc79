"""Where the variance of the response comes from: fixed part, each grouping factor, residual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.inference.parts import Part, Parts
from ranef.inference.ratios import RULES, share
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit
    from ranef.inference.bootstrap import Bootstrap

RESIDUALS = "The residual part is the mean of the residual variances of the rows; their correlations do not enter."
AVERAGED = "The part of a random slope is its variance averaged over the rows (Johnson 2014)."
AT = "Averaged over the rows, each with {values}."
RAW = "Slopes count with their variances as they are, so that shares depend on the units of the covariates."


@checked
def variance_partition(
    fit: Fit,
    *,
    at: Mapping[str, Any] | None = None,
    slopes: Literal["average", "variances"] = "average",
    fixed: bool = True,
    level: float = 0.95,
    bootstrap: Bootstrap | None = None,
) -> Table:
    """The parts of the variance and their shares: component term variance share std_error conf_low conf_high.

    Standard error and limits are those of the share.

    Parameters
    ----------
    at
        Values of covariates, such as ``{"Days": 0}``: the parts at these values instead of the average over the rows.
    slopes
        ``"average"``: one row for each grouping factor, the variance of all its effects averaged over the rows.
        ``"variances"``: one for each random effect, with the variance of its coefficient.
    fixed
        Whether the variance of the fixed part counts in the total.
    bootstrap
        `ranef.bootstrap(m, 1000)`: percentile intervals from its refits, in place of the delta method.

    Raises ModelError for a saved model (which has no rows) and for unknown arguments; DataError for an unknown column in `at`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("y ~ x + z + (1 | school / class)", ranef.datasets.load("schools"))
    >>> ranef.variance_partition(m)
    Parts of the variance
    Component      Variance  Share  Std. error  Lower  Upper
    --------------------------------------------------------
    Fixed effects    0.5318  0.125       0.040  0.059  0.216
    school           1.9812  0.465       0.130  0.234  0.706
    school:class     0.7807  0.183       0.064  0.081  0.330
    Residual         0.9699  0.227       0.057  0.134  0.358
    Intervals by the delta method, on the logarithm of the ratio to what remains.
    Intervals hold with probability 0.95.
    """
    if slopes not in ("average", "variances"):
        raise ModelError(f"slopes={slopes!r} is not known.", hint='Use "average" or "variances".')
    if slopes == "variances" and at is not None:
        raise ModelError('at has no meaning with slopes="variances".', hint="Leave one of the two out.")
    parts = Parts.of(fit, at, bootstrap)
    rows: list[tuple[str, str | None, Part]] = [("Fixed effects", None, parts.fixed)] if fixed else []
    rows += [*_random_rows(parts, slopes), ("Residual", None, parts.residual)]
    every = [part for _, _, part in rows]
    found = [share(part, _others(parts, every, i), parts.spread, level) for i, part in enumerate(every)]
    columns = {
        "component": [name for name, _, _ in rows],
        "term": [term for _, term, _ in rows],
        "variance": np.array([part.variance for part in every]),
        "share": np.array([estimate.value for estimate in found]),
        "std_error": np.array([estimate.std_error for estimate in found]),
        "conf_low": np.array([estimate.low for estimate in found]),
        "conf_high": np.array([estimate.high for estimate in found]),
    }
    if slopes == "average":
        del columns["term"]
    notes = (averaging(parts, at) if slopes == "average" else (RAW,)) + (parts.note,)
    return Table(columns, title="Parts of the variance", notes=notes, level=level, frame_kind=fit.model.rows.frame, rules=RULES)


def averaging(parts: Parts, at: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What has to be said about random slopes and about residuals with a structure, if there are any."""
    structured = (RESIDUALS,) if parts.fit.criterion.residual is not None else ()
    if at is not None:
        return (AT.format(values=", ".join(f"{name} = {value}" for name, value in at.items())), *structured)
    return ((AVERAGED,) if any(set(factor.names) != {"(Intercept)"} for factor in parts.factors) else ()) + structured


def _random_rows(parts: Parts, slopes: str) -> list[tuple[str, str | None, Part]]:
    if slopes == "average":
        return [(factor.name, None, part) for factor, part in zip(parts.factors, parts.random, strict=True)]
    return [
        (factor.name, name, parts.column_part(factor.block, column))
        for factor in parts.factors
        for column, name in enumerate(factor.names)
    ]


def _others(parts: Parts, every: list[Part], i: int) -> Part:
    """The sum of all parts but one."""
    return Part.stack([parts.nothing, *every[:i], *every[i + 1 :]])
