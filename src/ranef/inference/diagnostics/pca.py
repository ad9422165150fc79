"""In how many dimensions do the random effects vary?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from ranef.arguments import checked
from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.effects import factors
from ranef.fit.fit import Fit
from ranef.inference.diagnostics.answer import Assessment, Verdict
from ranef.inference.diagnostics.evidence import Evidence
from ranef.table import Table

ASSUMPTION = "Random effects"
NOTHING = 1e-8  # share of the variance that a direction needs to count,
LITTLE = 1e-2  # and below which it is worth a look
REMEDY = (
    "The data do not support all of them: leave out the smallest, or the correlations, and compare the fits by `ranef.compare`."
)
Scale = Literal["covariance", "correlation"]


@checked
def re_pca(fit: Fit, *, scale: Scale = "covariance") -> Table:
    """Principal components of the random effects of each grouping factor: group component sd share cumulative direction.

    The standard deviations are singular values of a root of the covariance matrix, on the scale of the response; over sigma they
    are those of lme4's `rePCA`. With `scale="correlation"` the effects are first divided by their standard deviations, which
    makes the answer independent of the units of the predictors. Directions without variance are what a singular fit has too many:
    Bates, Kliegl, Vasishth and Baayen (2015), Parsimonious mixed models, arXiv:1506.04967.

    Raises ModelError for a model without random effects, and for another scale.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.re_pca(m)
    Principal components of the random effects
    Group    Component  Std. dev.  Share  Cumulative  Direction
    ------------------------------------------------------------------------------
    Subject  1             24.744  0.946       0.946  1.00 (Intercept) + 0.02 Days
    Subject  2              5.909  0.054       1.000  1.00 Days - 0.02 (Intercept)
    Of the covariance matrix.
    """
    if scale not in ("covariance", "correlation"):
        raise ModelError(f"scale={scale!r} is not known.", hint='Use "covariance" or "correlation".')
    if not fit.model.design.terms:
        raise ModelError("The model has no random effects, so there is nothing to find directions of.")
    names = ("group", "component", "sd", "share", "cumulative", "direction")
    rows = []
    for factor in factors(fit):
        values, vectors = components(fit, factor.block, scale)
        total = float(np.sum(values**2))
        share = values**2 / total if total > 0 else np.zeros(len(values))
        for i, value in enumerate(values):
            rows.append((factor.name, i + 1, value, share[i], float(share[: i + 1].sum()), _direction(vectors[:, i], factor.names)))
    columns = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
    note = "Of the covariance matrix." if scale == "covariance" else "Of the correlation matrix."
    return Table(columns, title="Principal components of the random effects", notes=(note,), frame_kind=fit.model.rows.frame)


def components(fit: Fit, block: int, scale: Scale) -> tuple[Array, Array]:
    """Standard deviations (k,), largest first, and directions (k, k), a column each."""
    root = fit.solution.sigma * fit.solution.root(block)
    if scale == "correlation":
        sd = np.sqrt(np.einsum("ij,ij->i", root, root))
        root = np.divide(root, sd[:, None], out=np.zeros_like(root), where=sd[:, None] > 1e-10 * max(float(sd.max()), 1e-300))
    vectors, values, _ = np.linalg.svd(root)
    signs = np.where(vectors[np.argmax(np.abs(vectors), axis=0), np.arange(len(values))] < 0, -1.0, 1.0)
    return values, vectors * signs


def _direction(vector: Array, names: tuple[str, ...]) -> str:
    """The loadings that matter, largest first: `1.00 (Intercept) + 0.05 Days`."""
    order = [i for i in np.argsort(-np.abs(vector), kind="stable") if abs(vector[i]) >= 0.005]
    text = " ".join(f"{'-' if vector[i] < 0 else '+'} {abs(vector[i]):.2f} {names[i]}" for i in order)
    return text.removeprefix("+ ")


def dimensions(evidence: Evidence) -> Iterator[Assessment]:
    """By the correlation matrix, so that units do not matter."""
    for factor in factors(evidence.fit):
        values, _ = components(evidence.fit, factor.block, "correlation")
        k, total = len(factor.names), float(np.sum(values**2))
        share = values**2 / total if total > 0 else np.zeros(k)
        found, smallest = int(np.count_nonzero(share > NOTHING)), float(share[-1])
        words = f"{k} random effect{'s' if k > 1 else ''}, {found} dimension{'s' if found != 1 else ''}"
        words += f"; the smallest has {smallest:.2g} of the variance." if k > 1 else "."
        empty = found < k and evidence.fit.is_singular  # else a structure has fewer dimensions by design
        verdict: Verdict = "look" if empty or (found == k > 1 and smallest < LITTLE) else "fine"
        code, check = f"dimensions_{factor.name}", f"Dimensions, {factor.name}"
        yield Assessment(code, ASSUMPTION, check, found, None, verdict, words, REMEDY, "re_pca")


def pca_panels(evidence: Evidence) -> Iterator[tuple[str, Table]]:
    if evidence.groups:
        yield "re_pca", re_pca(evidence.fit)
