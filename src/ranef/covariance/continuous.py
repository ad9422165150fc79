"""exp(-d / range) under the names and parameters of time series: `car1`, `sp_pow` and `ou`.

`car1` and `sp_pow` have rho^d, 0 < rho < 1, the correlation at distance one; `ou` has exp(-a d), the rate of an Ornstein-Uhlenbeck
process. x is the logarithm of the range, as for `sp_exp`, of which they are other readings.
"""

from __future__ import annotations

from dataclasses import dataclass

from ranef.covariance.about import About, Names
from ranef.covariance.jets import Jet, exp, stack
from ranef.covariance.natural import POSITIVE, Parameter
from ranef.covariance.radial import Exponential


@dataclass(frozen=True)
class Power(Exponential):
    about = About(
        word="sp_pow",
        title="power",
        formula=r"\rho^{d_{ij}}",
        count="1",
        names=Names(sas="SP(POW)", nlme="corCAR1, corExp"),
        heterogeneous=Names(nlme="corCAR1 + varIdent"),
        coordinates=True,
    )

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        """rho = exp(-1 / range)."""
        return (Parameter("rho", bounds=(0.0, 1.0)),), stack([exp(-(exp(-x[0]) / self.unit))])


@dataclass(frozen=True)
class ContinuousAutoregressive(Power):
    most_dimensions = 1
    about = About(
        word="car1",
        title="continuous-time autoregressive",
        formula=r"\rho^{|t_i - t_j|}",
        count="1",
        names=Names(sas="SP(POW)", nlme="corCAR1", aliases=("corcar1",)),
        heterogeneous=Names(nlme="corCAR1 + varIdent"),
        coordinates=True,
    )


@dataclass(frozen=True)
class OrnsteinUhlenbeck(Exponential):
    most_dimensions = 1
    about = About(
        word="ou",
        title="Ornstein-Uhlenbeck",
        formula=r"\exp(-a |t_i - t_j|)",
        count="1",
        names=Names(sas="SP(EXP)", nlme="corCAR1", glmmtmb="ou"),
        heterogeneous=Names(nlme="corCAR1 + varIdent"),
        coordinates=True,
    )

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        return (Parameter("rate", bounds=POSITIVE),), stack([exp(-x[0]) / self.unit])
