"""All checks of a fit at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.fit.rows import needs_rows
from ranef.inference.diagnostics.answer import Assessment, Check
from ranef.inference.diagnostics.collinearity import collinearity, collinearity_panels
from ranef.inference.diagnostics.distribution import distribution, distribution_panels
from ranef.inference.diagnostics.evidence import Evidence
from ranef.inference.diagnostics.homoscedasticity import homoscedasticity, scale_panels
from ranef.inference.diagnostics.independence import independence, independence_panels
from ranef.inference.diagnostics.influential import influence_panels, influential
from ranef.inference.diagnostics.linearity import linearity, linearity_panels
from ranef.inference.diagnostics.normality import normality, normality_panels
from ranef.inference.diagnostics.outliers import outlier_panels, outliers
from ranef.inference.diagnostics.pca import dimensions, pca_panels
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Checks = tuple[Callable[[Evidence], Iterator[Assessment]], ...]
Panels = tuple[Callable[[Evidence], Iterator[tuple[str, Table]]], ...]
CHECKS: Checks = (
    linearity,
    independence,
    homoscedasticity,
    normality,
    distribution,
    outliers,
    influential,
    collinearity,
    dimensions,
)
PANELS: Panels = (
    linearity_panels,
    independence_panels,
    scale_panels,
    normality_panels,
    distribution_panels,
    outlier_panels,
    influence_panels,
    collinearity_panels,
    pca_panels,
)


@checked
def check(fit: Fit, *, by: Any = None, order: Any = None, n: int = 250, seed: int = 1) -> Check:
    """Check the assumptions of a model: a table of verdicts, and the numbers of the pictures behind them.

    Parameters
    ----------
    by
        The grouping factor (or another column) whose levels are series in time; by default the factor with most levels of three
        rows and more.
    order
        The column by which the rows of a series are ordered, such as a time; by default they are taken as they stand in the data.
    n
        Simulations from the fitted model, for bands and for tests without a formula.
    seed
        Of the simulations: the same seed gives the same answer.

    Returns
    -------
    Check
        `.table` with a line for each check, `.panels` with the numbers to draw, `.findings` of what is not fine.

    Raises
    ------
    ModelError
        For a model that was loaded from a file: it has no rows.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Yield ~ 1 + (1 | Batch)", ranef.datasets.load("Dyestuff"))
    >>> ranef.check(m).verdict
    'fine'
    """
    needs_rows(fit, "check()")
    if not isinstance(n, int) or n < 20:
        raise ModelError(f"n={n!r}: bands and simulated p values need at least 20 simulations.")
    evidence = Evidence(fit, n, seed, by, order)
    assessments = tuple(one for ask in CHECKS for one in ask(evidence))
    panels = dict(panel for make in PANELS for panel in make(evidence))
    return Check(fit, assessments, panels, _notes(assessments))


def _notes(assessments: tuple[Assessment, ...]) -> tuple[str, ...]:
    tests = sum(one.p_value is not None for one in assessments)
    chance = f"{tests} tests at 5%: about {0.05 * tests:.1g} below 5% would be no surprise in a perfect model."
    return ("A verdict weighs the size of an effect as well as its p value; fine means that nothing speaks against it.", chance)
