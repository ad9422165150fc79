"""`ar1`: an autoregression of order one over ordered positions. x is Fisher's z of the correlation of neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Kernel
from ranef.covariance.jets import Jet, stack, tanh
from ranef.covariance.natural import CORRELATION, Parameter


@dataclass(frozen=True)
class Autoregressive(Kernel):
    about = About(
        word="ar1",
        title="autoregressive of order one",
        formula=r"\rho^{|i-j|}",
        count="1",
        names=Names(sas="AR(1)", nlme="corAR1", glmmtmb="ar1", mmrm="ar1"),
        heterogeneous=Names(sas="ARH(1)", nlme="corAR1 + varIdent", glmmtmb="hetar1", mmrm="ar1h", aliases=("arh1", "hetar1")),
    )

    @property
    def size(self) -> int:
        return 1

    def start(self) -> Array:
        return np.zeros(1)

    def of_distance(self, x: Jet, distance: Array) -> Jet:
        """For whole distances, since the correlation of neighbours may be negative."""
        return tanh(x[0]).power(distance)

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        return (Parameter("rho", bounds=CORRELATION),), stack([tanh(x[0])])
