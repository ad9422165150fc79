"""Which rows or clusters the answers hang on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.arguments import checked
from ranef.covariance.base import Array
from ranef.design import Codes
from ranef.errors import Finding, ModelError
from ranef.fit.points import design_points, marginal_mean, random_part, whitened
from ranef.fit.rows import needs_rows, row_labels
from ranef.inference.clusters import clusters_of, dependent, members
from ranef.inference.influence.deletion import Method
from ranef.inference.influence.left import Left, gram_left, held_left, watched
from ranef.inference.influence.refits import Refits
from ranef.inference.parameters import Names, of_solution
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

METHODS = ("fixed", "one-step", "exact")
AFFORDABLE = 2e9  # floating-point operations that a call may cost without being asked for
OVERHEAD = 3e5  # of a deletion, in the same unit
WORDS = {
    "fixed": "theta held at its estimate; beta and sigma are exact given theta",
    "one-step": "theta moved by one Newton step of the criterion without the rows, then beta and sigma",
    "exact": "refitted without the rows",
}


@dataclass(frozen=True, eq=False)
class Influence:
    """What changes when rows are left out. `table` has a line for each deletion, the arrays its estimates.

    `estimates` (m, P) are all parameters without the rows, in the order of `names`; `coefficients` (m, p) the fixed effects.
    NaN where the rest does not determine the model.
    """

    fit: Fit
    by: str
    method: Method
    labels: dict[str, Any]
    sizes: Array  # (m,) rows left out
    estimates: Array  # (m, P)
    cooks: Array  # (m,)
    dfbetas_: Array  # (m, p)
    covratio: Array  # (m,)
    theta_cooks: Array | None  # (m,)
    rows: dict[str, Array]  # further columns of single rows
    pending: int = 0  # deletions at the end that an interrupt kept from being made

    @cached_property
    def names(self) -> Names:
        return Names.of(self.fit)

    @property
    def coefficients(self) -> Array:
        return self.estimates[:, : self.names.fixed]

    @property
    def findings(self) -> tuple[Finding, ...]:
        made = len(self.cooks) - self.pending
        lost = np.flatnonzero(~np.isfinite(self.cooks[:made]))
        stopped = (Finding(
            "interrupted", "warning", f"Interrupted after {made} of {len(self.cooks)} deletions.", "The others are missing.",
            {"made": made},
        ),) if self.pending else ()  # fmt: skip
        if not len(lost):
            return stopped
        which = ", ".join(str(next(iter(self.labels.values()))[i]) for i in lost[:5])
        return (
            *stopped,
            Finding(
                "deletion_not_identified", "note",
                f"Without {which}{' and others' if len(lost) > 5 else ''} of {self.by} the model is not determined.",
                "Their influence is not finite.", {"count": len(lost)},
            ),
        )  # fmt: skip

    @property
    def table(self) -> Table:
        """cooks_distance, cooks_theta, covratio and sigma; for rows also hat, dffits and cooks_conditional."""
        columns = {**self.labels}
        if self.by != "row":
            columns["rows"] = self.sizes
        columns |= {"cooks_distance": self.cooks}
        if self.theta_cooks is not None:
            columns["cooks_theta"] = self.theta_cooks
        columns["covratio"] = self.covratio
        if self.fit.criterion.scale is None:
            columns["sigma"] = self.estimates[:, -1]
        columns |= self.rows
        return self._table(columns, "Influence")

    @property
    def dfbetas(self) -> Table:
        """Change of each coefficient in units of its standard error."""
        fixed = self.names.term[: self.names.fixed]
        return self._table({**self.labels, **dict(zip(fixed, self.dfbetas_.T, strict=True))}, "Scaled change of coefficients")

    @property
    def parameters(self) -> Table:
        """Every parameter without the rows."""
        names = [f"{group}: {term}" if group else term for group, term in zip(self.names.group, self.names.term, strict=True)]
        return self._table({**self.labels, **dict(zip(names, self.estimates.T, strict=True))}, "Estimates without the rows")

    def _table(self, columns: dict[str, Any], title: str) -> Table:
        notes = (f"Deletion by {self.by}: {WORDS[self.method]}.", *(str(finding) for finding in self.findings))
        return Table(columns, title=title, notes=notes, frame_kind=self.fit.model.rows.frame)

    def __repr__(self) -> str:
        return repr(self.table)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@checked
def influence(fit: Fit, by: Any = None, method: Method | None = None) -> Influence:
    """Cook's distance, DFBETAS, COVRATIO and the change of the variance parameters when rows or clusters are left out.

    by
        `"row"` (also `"observation"`), a grouping factor, another column of the data, or an array; by default the grouping factor
        that contains all others (the subjects of a residual structure are one), and rows where no rows depend on each other.
    method
        `"fixed"`, `"one-step"` or `"exact"` (see `ranef.inference.influence.deletion`); by default one step where that is
        affordable, else theta is held. The tables say which was used. With a residual structure each deletion is a fit of its own
        (`"exact"`), and sigma in `dfbetas` is the root of the mean residual variance.

    With beta_(i), sigma_(i) the estimates without the rows::

        cooks_distance   (beta - beta_(i))' Var(beta)^-1 (beta - beta_(i)) / p               Cook (1977); Christensen et al. (1992)
        dfbetas          (beta - beta_(i))_j / (sigma_(i) / sigma se_j)                      Belsley, Kuh and Welsch (1980)
        covratio         |Var_(i)(beta_(i))| / |Var(beta)|
        cooks_theta      the first formula for the variance parameters, with their asymptotic covariance
        hat, dffits      leverage on the own fitted value, and its scaled change
        cooks_conditional  (r / (sigma (1 - h)))^2 h / p, conditional residuals: lme4's cooks.distance of rows, no change of beta

    lme4 multiplies the first by (m - p) / m for m clusters.

    Raises ModelError for an unknown method and for a model that was loaded from a file.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> ranef.influence(m, "Subject").table.frame.head(3).round(3)
      Subject  rows  cooks_distance  cooks_theta  covratio   sigma
    0     308    10           0.092        0.091     1.001  23.690
    1     309    10           0.149        0.613     0.749  26.546
    2     310    10           0.111        0.218     0.927  26.263
    """
    needs_rows(fit, "influence()")
    if method is not None and method not in METHODS:
        raise ModelError(f"method={method!r} is not known.", hint=f"Use one of: {', '.join(METHODS)}.")
    by_row = (isinstance(by, str) and by in ("row", "observation", "obs")) or (by is None and not dependent(fit))
    name, labels, codes = _groups(fit, by, by_row)
    if fit.criterion.residual is not None:
        return _by_refits(fit, name, labels, codes, method)
    m = int(codes.max()) + 1
    if not fit.model.design.terms:
        method = "fixed" if method in (None, "one-step") else method
    if method is None:
        method = "one-step" if m * (fit.criterion.effort * 3 + OVERHEAD) <= AFFORDABLE else "fixed"
    if by_row and method == "fixed":
        return _rows_in_closed_form(fit, name, labels)
    return _by_deletion(fit, name, labels, codes, method, by_row)


def _groups(fit: Fit, by: Any, by_row: bool) -> tuple[str, dict[str, Any], Codes]:
    if by_row:
        return "row", row_labels(fit), np.arange(fit.nobs)
    name, levels, codes = clusters_of(fit, by)
    return name, {name: levels}, codes


def _by_deletion(fit: Fit, name: str, labels: dict[str, Any], codes: Codes, method: Method, by_row: bool) -> Influence:
    leave = held_left(fit, codes) if method == "fixed" else gram_left(fit, method)
    rows = members(codes, int(codes.max()) + 1)
    names, kept = Names.of(fit), list(fit.criterion.gram.standard.kept)
    p, m, full = names.fixed, len(rows), of_solution(fit.solution)
    left, done = Left.nothing(m, len(names.term)), 0
    for found in watched(leave, rows):
        left.fill(done, found)
        done += len(found.ratio)
    estimates, ratios, logdet, theta = left.estimates, left.ratio, left.logdet, left.theta
    covratio = ratios ** (2 * p) * np.exp(-logdet)
    change = full.estimates[0, :p] - estimates[:, :p]
    white, sigma = fit.solution.white[kept], fit.solution.sigma
    scaled = np.linalg.lstsq(white, change.T, rcond=None)[0] / sigma if p else np.zeros((0, m))
    cooks = np.einsum("im,im->m", scaled, scaled) / max(p, 1)
    dfbetas = change / (full.std_errors[0] * ratios[:, None])
    extra = _row_columns(fit) if by_row else {}
    sizes, moved = np.array([len(r) for r in rows]), method != "fixed" and len(fit.optimum.theta) > 0
    return Influence(
        fit, name, method, labels, sizes, estimates, cooks, dfbetas, covratio, theta if moved else None, extra, m - done
    )  # fmt: skip


def _by_refits(fit: Fit, name: str, labels: dict[str, Any], codes: Codes, method: Method | None) -> Influence:
    """Where residuals have a structure."""
    refits, rows = Refits.of(fit, method), members(codes, int(codes.max()) + 1)
    names, kept, full = Names.of(fit), list(fit.criterion.gram.standard.kept), of_solution(fit.solution)
    p, found = names.fixed, refits.without(rows, len(names.term))
    change = full.estimates[0, :p] - found.estimates[:, :p]
    white = fit.solution.white[kept]
    scaled = np.linalg.lstsq(white, change.T, rcond=None)[0] / fit.solution.sigma if p else np.zeros((0, len(rows)))
    cooks = np.einsum("im,im->m", scaled, scaled) / max(p, 1)
    dfbetas = change / (full.std_errors[0] * found.scale[:, None])
    sizes = np.array([len(r) for r in rows])
    return Influence(fit, name, "exact", labels, sizes, found.estimates, cooks, dfbetas, found.covratio, found.theta, {})


def _rows_in_closed_form(fit: Fit, name: str, labels: dict[str, Any]) -> Influence:
    """All rows at once: beta - beta_(i) = M (X'V^-1)_i d_i with d_i = (Py)_i / P_ii, Haslett and Hayes (1998)."""
    solution, points = fit.solution, design_points(fit.model.design, fit.criterion.layout)
    kept, names = list(fit.criterion.gram.standard.kept), Names.of(fit)
    n, p, sigma, nu = len(points), names.fixed, solution.sigma, solution.dof
    _, error = whitened(solution, points, slice(None))
    u = error / points.noise[:, None]  # (n, r)
    resid = fit.model.design.y - marginal_mean(solution, points) - random_part(solution, points)
    share = 1.0 - fit._leverage
    alone = share < 1e-10
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(alone, np.nan, resid / share)
        rest = nu * sigma**2 - resid * shift / points.noise
        known = fit.model.design.known_variances
        sigma_without = np.full(n, sigma) if known else np.sqrt(np.maximum(rest, 0.0) / (nu - 1))
        size = np.einsum("nr,nr->n", u, u)
        P = share / points.noise
        covratio = (sigma_without / sigma) ** (2 * p) * (P + size) / P
    scaled = u * shift[:, None]
    change = scaled @ solution.white[kept].T
    full = of_solution(solution)
    estimates = np.tile(full.estimates, (n, 1))
    estimates[:, :p] -= change
    deviations = np.array([term.startswith("sd__") for term in names.term])
    estimates[:, deviations] *= (sigma_without / sigma)[:, None]
    cooks = np.einsum("nr,nr->n", scaled, scaled) / (max(p, 1) * sigma**2)
    dfbetas = change / (full.std_errors[0] * (sigma_without / sigma)[:, None])
    return Influence(fit, name, "fixed", labels, np.ones(n), estimates, cooks, dfbetas, covratio, None, _row_columns(fit))


def _row_columns(fit: Fit) -> dict[str, Array]:
    """hat, dffits and lme4's Cook's distance."""
    points, solution = design_points(fit.model.design, fit.criterion.layout), fit.solution
    hat = fit._leverage
    student = np.asarray(fit.residuals("studentised"), dtype=float)
    resid = fit.model.design.y - marginal_mean(solution, points) - random_part(solution, points)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(hat < 1.0 - 1e-10, hat / (1.0 - hat), np.nan)
        standard = resid**2 / (points.noise * solution.sigma**2 * (1.0 - hat))
        return {
            "hat": hat,
            "dffits": student * np.sqrt(ratio),
            "cooks_conditional": standard * ratio / max(fit.criterion.gram.rank, 1),
        }
