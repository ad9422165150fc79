"""Knapp and Hartung's method for models with known sampling variances.

With all variances V = diag(v) + Z G Z' at their estimates,

    Var(beta) = s^2 (X'V^-1X)^-1,    s^2 = y'Py / (n - p) = sum of the weighted squared residuals / (n - p),    t on n - p df

s^2 has expectation one and may fall below it. Knapp and Hartung (2003), Statistics in Medicine 22, 2693-2710, eq. 5; Sidik and
Jonkman (2005), J. Biopharm. Stat. 15, 823-838.
"""

from __future__ import annotations

from dataclasses import dataclass

from ranef.covariance.base import Array
from ranef.errors import ModelError
from ranef.fit.fit import Fit
from ranef.inference.ddf.fixed import Residual


@dataclass(frozen=True, eq=False)
class KnappHartung(Residual):
    factor: float = 1.0  # s^2

    @classmethod
    def of(cls, fit: Fit) -> KnappHartung:
        """Raises ModelError where the residual variance is estimated, or where no degrees of freedom are left."""
        scale = fit.criterion.scale
        if scale is None or not fit.model.design.known_variances:
            raise ModelError(
                'ddf="knapp-hartung" is for known sampling variances, and this model estimates its residual variance.',
                hint='Use "kenward-roger" or "satterthwaite"; or give sampling_variance.',
            )
        free = fit.nobs - len(fit.params)
        if free < 1:
            raise ModelError(
                f"Knapp and Hartung's method needs more rows than coefficients; there are {fit.nobs} and {len(fit.params)}.",
                hint='Use ddf="asymptotic".',
            )
        return cls(fit, max(fit.solution.gls.pwrss, 0.0) / scale**2 / free)

    @property
    def vcov(self) -> Array:
        return self.factor * self.fit.solution.vcov

    def root(self, L: Array) -> Array:
        return self.factor**0.5 * super().root(L)
