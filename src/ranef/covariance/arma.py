"""`arma11`: autoregressive of order one with a moving average of order one.

phi = tanh x_1 and psi = tanh x_2 are the autoregressive and the moving-average coefficient: the correlation of neighbours is
gamma = (1 + phi psi)(phi + psi) / (1 + 2 phi psi + psi^2), and later ones fall by phi. Box and Jenkins (1976), eq. 3.4.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Kernel
from ranef.covariance.jets import Jet, stack, tanh, where
from ranef.covariance.natural import CORRELATION, Parameter


@dataclass(frozen=True)
class AutoregressiveMovingAverage(Kernel):
    about = About(
        word="arma11",
        title="autoregressive moving average",
        formula=r"\gamma \rho^{|i-j| - 1}",
        count="2",
        names=Names(sas="ARMA(1,1)", nlme="corARMA(p = 1, q = 1)", aliases=("arma",)),
        heterogeneous=Names(nlme="corARMA(p = 1, q = 1) + varIdent"),
    )

    @property
    def size(self) -> int:
        return 2

    def start(self) -> Array:
        """Where the two coefficients do not stand for each other, as they do near zero."""
        return np.array([0.4, -0.2])

    def gamma(self, x: Jet) -> Jet:
        phi, psi = tanh(x[0]), tanh(x[1])
        return (1.0 + phi * psi) * (phi + psi) / (1.0 + 2.0 * phi * psi + psi * psi)

    def of_distance(self, x: Jet, distance: Array) -> Jet:
        later = self.gamma(x) * tanh(x[0]).power(np.maximum(distance - 1.0, 0.0))
        return where(distance == 0.0, x.constant(np.ones(distance.shape)), later)

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        described = (Parameter("rho", bounds=CORRELATION), Parameter("gamma", bounds=CORRELATION))
        return described, stack([tanh(x[0]), self.gamma(x)])
