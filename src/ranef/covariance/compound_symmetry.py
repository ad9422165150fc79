"""`cs`: all correlations are equal. x is mapped onto -1/(k-1) < rho < 1, where the matrix is positive definite.

With e = exp(2x), rho = (e - 1) / (e + k - 1): Fisher's z for k = 2, and no correlation at x = 0 for every k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Kernel
from ranef.covariance.jets import Jet, stack, tanh, where
from ranef.covariance.natural import Parameter


@dataclass(frozen=True)
class CompoundSymmetry(Kernel):
    about = About(
        word="cs",
        title="compound symmetry",
        formula=r"\rho",
        count="1",
        names=Names(sas="CS", nlme="corCompSymm", glmmtmb="homcs", mmrm="cs", aliases=("homcs",)),
        heterogeneous=Names(sas="CSH", nlme="corCompSymm + varIdent", glmmtmb="cs", mmrm="csh"),
    )

    @property
    def size(self) -> int:
        return 1

    def start(self) -> Array:
        return np.zeros(1)

    def rho(self, x: Jet) -> Jet:
        """() With t = tanh x: rho = 2t / (k - (k - 2) t)."""
        t, k = tanh(x[0]), max(self.k, 2)
        return 2.0 * t / (k - (k - 2.0) * t)

    def of_distance(self, x: Jet, distance: Array) -> Jet:
        return where(distance == 0.0, x.constant(np.ones(distance.shape)), self.rho(x) * np.ones(distance.shape))

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        return (Parameter("rho", bounds=(-1.0 / max(self.k - 1, 1), 1.0)),), stack([self.rho(x)])

    def distinct(self) -> tuple[int, ...]:
        return (0, 1)[: self.k]
