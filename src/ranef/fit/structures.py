"""The parameters that people read of structured random effects: standard deviations, correlations, ranges, with their precision.

They are functions of (theta, log sigma^2), and so are their derivatives: sd_i = sigma sd_i(theta) / S_ii on the user's scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ranef.core.layout import Part
from ranef.covariance import Scaled
from ranef.covariance.held import Held, Spanned
from ranef.covariance.jets import Jet
from ranef.covariance.natural import Natural, Parameter
from ranef.design import RandomTerm
from ranef.glossary import Rule
from ranef.table import Table

RULES: dict[str, Rule] = dict.fromkeys(("estimate", "std_error", "conf_low", "conf_high"), "even")

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True, eq=False)
class StructureParameters:
    """Natural parameters of one random term on the user's scale, as functions of its theta and log sigma^2."""

    term: RandomTerm
    natural: Natural
    where: tuple[int, ...]  # the places of these arguments among those of the fit

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{p.kind}__{p.of or stem(self.term)}" if p.kind == "sd" else p.name for p in self.natural.parameters)


def structure_parameters(fit: Fit) -> list[StructureParameters]:
    """One for each random term with a structure of its own, in the order of theta."""
    terms = fit.model.design.terms
    return [_of_part(fit, f, part) for f, part in fit.criterion.layout.parts if is_structured(terms[part.term])]


def is_structured(term: RandomTerm) -> bool:
    """Are its parameters fewer than the standard deviations and correlations of its columns?"""
    held = isinstance(term.covariance, Held) and not isinstance(term.covariance, Spanned)
    return held or isinstance(term.covariance, Scaled) or term.levels is not None


def _of_part(fit: Fit, f: int, part: Part) -> StructureParameters:
    solution, term = fit.solution, fit.model.design.terms[part.term]
    with np.errstate(divide="ignore", invalid="ignore"):  # a standard deviation held at zero has no derivative
        found = part.covariance.natural(solution.theta[part.theta], term.names)
    size = 1.0 / np.abs(solution.criterion.gram.z_map(f)[part.columns, part.columns].diagonal())
    which = {name: i for i, name in enumerate(term.names)}
    is_sd = np.array([p.kind == "sd" for p in found.parameters])
    scale = np.array([solution.sigma * size[which.get(p.of, 0)] if p.kind == "sd" else 1.0 for p in found.parameters])
    values = found.values * scale
    first, where = found.jet.first * scale, tuple(range(part.theta.start, part.theta.stop))
    if solution.criterion.scale is None:  # sigma is a parameter
        first, where = np.vstack([first, np.where(is_sd, values / 2.0, 0.0)]), (*where, len(solution.theta))
    q, l = first.shape
    natural = Natural(found.parameters, Jet(values, first, np.full((q, q, l), np.nan)))
    return StructureParameters(term, natural, where)


def stem(term: RandomTerm) -> str:
    """What stands in front of the bar: `visit` of `ar1(0 + visit | id)`."""
    inside = term.label[term.label.index("(") + 1 :].rsplit(" | ", 1)[0]
    return "(Intercept)" if inside == "1" else inside.removeprefix("0 + ")


def random_structures(fit: Fit, level: float = 0.95) -> Table | None:
    """Natural parameters of the structured random terms: estimate, standard error (delta method) and interval.

    Intervals are symmetric on the logarithm of a standard deviation or a range, and on Fisher's z of a correlation.
    """
    found = structure_parameters(fit)
    if not found:
        return None
    columns: dict[str, list[object]] = {
        name: [] for name in ("group", "structure", "name", "estimate", "std_error", "conf_low", "conf_high")
    }
    for own in found:
        spread = fit.variance_parameters.covariance[np.ix_(own.where, own.where)]
        low, high = own.natural.limits(spread, level)
        fixed = ~np.any(own.natural.jacobian, axis=1)  # held, and without an error
        errors, low, high = (np.where(fixed, np.nan, x) for x in (own.natural.std_errors(spread), low, high))
        rows = zip(own.names, own.natural.values, errors, low, high, strict=True)
        for name, *numbers in rows:
            kind = own.term.covariance.word
            for column, value in zip(columns.values(), (own.term.group.name, kind, name, *numbers), strict=True):
                column.append(value)
    title, note = "Structured random effects", (HELD,) if any(isinstance(own.term.covariance, Held) for own in found) else ()
    return Table(columns, title=title, notes=note, frame_kind=fit.model.rows.frame, rules=RULES)


HELD = "A parameter without a standard error was held at its value."


def rows_of(own: StructureParameters) -> list[tuple[str, str, None, float | None, float]]:
    """As rows of `varcorr`: variances and standard deviations; other parameters have no variance."""
    out: list[tuple[str, str, None, float | None, float]] = []
    for parameter, value in zip(own.natural.parameters, own.natural.values.tolist(), strict=True):
        name = _column(own.term, parameter)
        out.append((own.term.group.name, name, None, value**2 if parameter.kind == "sd" else None, value))
    return out


def _column(term: RandomTerm, parameter: Parameter) -> str:
    return parameter.of or stem(term) if parameter.kind == "sd" else parameter.name
