"""Denominator degrees of freedom: one method a file, all with the same three answers (see `ranef.inference.ddf.base`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ranef.fit.methods import ROBUST
from ranef.inference.ddf.base import Denominator, FTest
from ranef.inference.ddf.between_within import BetweenWithin
from ranef.inference.ddf.containment import Containment
from ranef.inference.ddf.fixed import Asymptotic, Residual
from ranef.inference.ddf.kenward_roger import KenwardRogerDenominator
from ranef.inference.ddf.knapp_hartung import KnappHartung
from ranef.inference.ddf.satterthwaite import Satterthwaite
from ranef.inference.ddf.spanned import partly

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

METHODS: dict[str, Callable[[Fit], Denominator]] = {
    "satterthwaite": Satterthwaite,
    "kenward-roger": KenwardRogerDenominator,
    "kenward-roger-linear": KenwardRogerDenominator.first_order,
    "kenward-roger-observed": KenwardRogerDenominator.observed,
    "kenward-roger-observed-linear": KenwardRogerDenominator.observed_first_order,
    "between-within": BetweenWithin.of,
    "containment": Containment.of,
    "residual": Residual,
    "knapp-hartung": KnappHartung.of,
    "asymptotic": Asymptotic,
}


def _robust(fit: Fit, kind: str) -> Denominator:
    from ranef.inference.robust import Robust

    return Robust.of(fit, kind)


def denominator(fit: Fit, method: str) -> Denominator:
    """The method called `method`, ready to answer for a fit. Raises ModelError where it does not apply."""
    return partly(fit, _robust(fit, method) if method in ROBUST else METHODS[method](fit))


__all__ = ["METHODS", "Denominator", "FTest", "denominator"]
