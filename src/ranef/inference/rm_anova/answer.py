"""Repeated-measures analysis of variance, and the mixed model that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.fit.model import Model, Options
from ranef.fit.run import run
from ranef.formula import parse
from ranef.inference.rm_anova.cells import Cells, as_factors, read_cells, subsets
from ranef.inference.rm_anova.classical import between_design, effects
from ranef.inference.rm_anova.strata import strata
from ranef.schema import ingest
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

CORRECTIONS = {"gg": "Greenhouse-Geisser", "hf": "Huynh-Feldt", "none": "none"}


@dataclass(frozen=True, eq=False)
class RepeatedMeasures:
    """`table` is the analysis; `sphericity` its tests and corrections; `fit` the mixed model with the same F tests."""

    table: Table
    sphericity: Table | None
    cells: Cells
    data: Any
    kind: int

    @cached_property
    def fit(self) -> Fit:
        """Random intercepts for subjects, and for subjects by all but one combination of the within factors.

        With complete data, and no component estimated as zero, `fit.anova(ddf="kenward-roger")` has the F tests of the table.
        """
        return mixed_model(self.cells, self.data)

    def __repr__(self) -> str:
        return repr(self.table) if self.sphericity is None else f"{self.table!r}\n\n{self.sphericity!r}"

    def _repr_html_(self) -> str:
        return self.table._repr_html_() + ("" if self.sphericity is None else self.sphericity._repr_html_())


@checked
def rm_anova(
    data: Any,
    dv: Any = None,
    subject: str | None = None,
    within: str | Sequence[str] = (),
    between: str | Sequence[str] = (),
    *,
    type: int = 3,
    correction: str = "gg",
) -> RepeatedMeasures | Table:
    """Analysis of variance with repeated measures, from long data.

    `rm_anova(data, "score", "id", within="visit", between="group")`, or as R's aov `rm_anova("score ~ visit + Error(id)", data)`,
    which gives the table by strata.

    Complete data (every subject in every combination of the within factors) are analysed by sums of squares, `type` 2 or 3, with
    partial and generalised eta squared; p values of within effects are corrected for non-sphericity (`correction` "gg", "hf" or
    "none"). Otherwise the same model is fitted as a mixed model to all rows there are, with Kenward and Roger's F tests; a mixed
    model with random intercepts assumes sphericity.

    Raises DataError and ModelError for columns that do not make a repeated-measures design, FormulaError for a formula.

    Examples
    --------
    >>> import ranef
    >>> machines = ranef.datasets.load("Machines").groupby(["Worker", "Machine"], observed=True, as_index=False)["score"].mean()
    >>> ranef.rm_anova(machines, "score", "Worker", within="Machine")
    Repeated-measures ANOVA
    Term     Sum sq.  Num. df  Den. df      F       p  Partial eta sq.  Gen. eta sq.
    --------------------------------------------------------------------------------
    Machine    585.1      1.6     8.00  20.58  <0.001            0.805         0.513
    Type III sums of squares; 6 subjects, 3 cells.
    Correction of df for non-sphericity: Greenhouse-Geisser.
    <BLANKLINE>
    Sphericity
    Term     Mauchly's W  p (Mauchly)  Eps. (GG)  Eps. (HF)  p (GG)  p (HF)
    -----------------------------------------------------------------------
    Machine        0.750        0.563      0.800      1.118  <0.001  <0.001
    """
    if isinstance(data, str) and not isinstance(dv, str):
        return strata(data, dv)
    if dv is None or subject is None:
        raise ModelError("rm_anova() needs the response and the subject.", hint='rm_anova(data, "score", "id", within="visit").')
    if type not in (2, 3) or correction not in CORRECTIONS:
        raise ModelError(f"type={type!r} and correction={correction!r}: use type 2 or 3, and one of {', '.join(CORRECTIONS)}.")
    cells = read_cells(data, dv, subject, _names(within), _names(between))
    if cells.complete:
        return _complete(cells, data, type, correction)
    return _incomplete(cells, data, type)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _complete(cells: Cells, data: Any, kind: int, correction: str) -> RepeatedMeasures:
    found, errors = effects(cells, kind)
    epsilon = [1.0 if correction == "none" else min(1.0, e.gg if correction == "gg" else e.hf) for e in found]
    columns = {
        "term": [e.term for e in found],
        "sum_sq": [e.sum_sq for e in found],
        "num_df": [eps * e.num_df for eps, e in zip(epsilon, found, strict=True)],
        "den_df": [eps * e.den_df for eps, e in zip(epsilon, found, strict=True)],
        "statistic": [e.statistic for e in found],
        "p_value": [e.p_value(eps) for eps, e in zip(epsilon, found, strict=True)],
        "partial_eta_sq": [e.sum_sq / (e.sum_sq + e.error_sq) for e in found],
        "generalized_eta_sq": [e.sum_sq / (e.sum_sq + errors) for e in found],
    }
    notes = [f"Type {'I' * kind} sums of squares; {len(cells.Y)} subjects, {cells.levels} cells."]
    corrected = any(e.gg < 1.0 for e in found)
    if corrected:
        notes.append(f"Correction of df for non-sphericity: {CORRECTIONS[correction]}.")
    if cells.averaged:
        notes.append(f"{cells.averaged} further rows of the same subject and cell were averaged.")
    table = Table(
        columns, title="Repeated-measures ANOVA", notes=tuple(notes), frame_kind=cells.frame_kind, headings={"statistic": "F"}
    )
    return RepeatedMeasures(table, _sphericity(cells, found) if corrected else None, cells, data, kind)


def _sphericity(cells: Cells, found: list[Any]) -> Table:
    rows = [e for e in found if np.isfinite(e.mauchly) or e.gg < 1.0]
    columns = {
        "term": [e.term for e in rows],
        "mauchly_w": [e.mauchly for e in rows],
        "p_value": [e.mauchly_p for e in rows],
        "epsilon_gg": [e.gg for e in rows],
        "epsilon_hf": [e.hf for e in rows],
        "p_gg": [e.p_value(min(1.0, e.gg)) for e in rows],
        "p_hf": [e.p_value(min(1.0, e.hf)) for e in rows],
    }
    return Table(columns, title="Sphericity", frame_kind=cells.frame_kind, headings={"p_value": "p (Mauchly)"})


def mixed_model(cells: Cells, data: Any) -> Fit:
    """The model of a repeated-measures ANOVA: an error stratum for each combination of within factors but the full one."""
    fixed = " * ".join(f"`{name}`" for name in (*cells.between, *cells.within))
    inside = [chosen for chosen in subsets(cells.within) if len(chosen) < len(cells.within) or not cells.within]
    groups = [":".join(f"`{name}`" for name in (cells.subject, *chosen)) for chosen in inside]
    bars = " + ".join(f"(1 | {group})" for group in groups)
    formula, contrasts = parse(f"`{cells.dv}` ~ {fixed} + {bars}"), dict.fromkeys((*cells.between, *cells.within), "sum")
    data = as_factors(cells, data)
    recipe = {"data": data, "contrasts": contrasts}
    return run(Model(formula, ingest(formula, data, contrasts=contrasts), True, Options(), recipe))


def _incomplete(cells: Cells, data: Any, kind: int) -> RepeatedMeasures:
    """F tests of the mixed model; sums of squares of the strata from its variance components."""
    if not cells.within:
        raise ModelError("Some combinations of the between factors have no subject.", hint="Merge levels, or drop a factor.")
    fit = mixed_model(cells, data)
    tests = fit.anova(type=kind, ddf="kenward-roger")
    means, errors = _strata_means(cells, fit)
    inside = [tuple(name for name in cells.within if name in _parts(label)) for label in tests["term"]]
    F, num, den = (np.asarray(tests[name], dtype=float) for name in ("statistic", "num_df", "den_df"))
    sums = F * num * np.array([means[chosen] for chosen in inside])
    columns = {
        "term": list(tests["term"]), "num_df": num, "den_df": den, "statistic": F, "p_value": tests["p_value"],
        "partial_eta_sq": F * num / (F * num + den), "generalized_eta_sq": sums / (sums + errors),
    }  # fmt: skip
    missing = int(np.sum(~np.isfinite(cells.Y)))
    notes = (
        f"Mixed model with Kenward and Roger's F tests, type {'I' * kind}: {missing} of {cells.Y.size} cells are empty.",
        "Generalised eta squared is from the variance components; sphericity is assumed.",
    )
    table = Table(columns, title="Repeated-measures ANOVA", notes=notes, frame_kind=cells.frame_kind, headings={"statistic": "F"})
    out = RepeatedMeasures(table, None, cells, data, kind)
    out.__dict__["fit"] = fit
    return out


def _parts(label: str) -> list[str]:
    return [part.strip("`") for part in label.split(":")]


def _strata_means(cells: Cells, fit: Fit) -> tuple[dict[tuple[str, ...], float], float]:
    """The expected mean square of each error stratum, and their sum of squares in complete data."""
    sizes = dict(zip(cells.within, cells.within_sizes, strict=True))
    variances = dict(zip(fit.varcorr["group"], fit.varcorr["vcov"], strict=True))
    strata_ = subsets(cells.within)
    named = {chosen: next((g for g in variances if set(_parts(g)) == {cells.subject, *chosen}), None) for chosen in strata_}
    means = {}
    for chosen in strata_:
        above = [other for other in strata_ if set(chosen) <= set(other) and named[other] is not None]
        means[chosen] = fit.sigma**2 + sum(
            variances[named[other]] * np.prod([sizes[name] for name in cells.within if name not in other]) for other in above
        )
    error_df = len(cells.Y) - np.linalg.matrix_rank(between_design(cells)[0])
    dims = {chosen: np.prod([sizes[name] - 1 for name in chosen]) for chosen in strata_}
    return means, float(sum(means[chosen] * error_df * dims[chosen] for chosen in strata_))
