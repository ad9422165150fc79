"""`mat`: Matern's correlation, of smoothness nu that is estimated or given (`smoothness=1.5`).

    M(r) = 2^(1 - nu) / Gamma(nu) r^nu K_nu(r),    r = d / range                 Stein (1999), Interpolation of Spatial Data, 2.10

x = (log range in units of a typical distance, x_2) with 1 / nu = exp(-x_2) + 1 / 20, beyond which it is Gaussian to the eye. M and
its derivatives by s = log r and nu come from one integral, which the trapezoidal rule gives to rounding because its integrand,
exp L, decays doubly exponentially:

    K_nu(r) = int_0^inf exp(-r cosh t) cosh(nu t) dt                                                            DLMF 10.32.9
    L = -r cosh t + log 2 cosh(nu t) + nu log(r / 2) - log Gamma(nu),   L_s = nu - r cosh t,   L_ss = -r cosh t,   L_s,nu = 1
    L_nu = t tanh(nu t) + log(r / 2) - digamma(nu),   L_nu,nu = (t / cosh(nu t))^2 - trigamma(nu)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from ranef.covariance.about import About, Names
from ranef.covariance.correlation import Array, Kernel
from ranef.covariance.jets import Jet, exp, stack, where
from ranef.covariance.natural import POSITIVE, Parameter

STEP, LAST = 0.12, 30.0  # of t; exp(-r cosh t) has vanished at its end for every r that is told apart from zero
NEAR = -21.0  # log r below which the correlation is taken to be one
SMOOTHEST = 20.0


@dataclass(frozen=True)
class Matern(Kernel):
    smoothness: float | None = None

    about = About(
        word="mat",
        title="Matern",
        formula=r"\tfrac{2^{1 - \nu}}{\Gamma(\nu)} r^\nu K_\nu(r),\ r = d_{ij} / \lambda",
        count="2, or 1 with `smoothness=`",
        names=Names(sas="SP(MATERN)", glmmtmb="mat", aliases=("matern", "sp_mat", "sp_matern")),
        heterogeneous=Names(),
        coordinates=True,
        options=("smoothness",),
    )

    @property
    def size(self) -> int:
        return 2 if self.smoothness is None else 1

    def start(self) -> Array:
        return np.zeros(self.size)

    def nu(self, x: Jet) -> Jet:
        return 1.0 / (exp(-x[1]) + 1.0 / SMOOTHEST) if self.smoothness is None else x.constant(self.smoothness)

    def of_distance(self, x: Jet, distance: Array) -> Jet:
        with np.errstate(divide="ignore"):
            s = -x[0] + np.log(distance / self.unit)
        near = s.value < NEAR
        s = where(near, x.constant(np.zeros(distance.shape)), s)
        return where(near, x.constant(np.ones(distance.shape)), matern(s, self.nu(x)))

    def natural(self, x: Jet) -> tuple[tuple[Parameter, ...], Jet]:
        reach = exp(x[0]) * self.unit
        if self.smoothness is not None:
            return (Parameter("range", bounds=POSITIVE),), stack([reach])
        return (Parameter("range", bounds=POSITIVE), Parameter("smoothness", bounds=(0.0, SMOOTHEST))), stack([reach, self.nu(x)])


def matern(s: Jet, nu: Jet) -> Jet:
    """M at r = exp(s) (...), for a scalar nu."""
    t = np.arange(0.0, LAST, STEP)
    n, rest = float(nu.value), s.value - np.log(2.0)
    reach = np.multiply.outer(np.exp(s.value), np.cosh(t))  # (..., t)
    grown = n * t + np.log1p(np.exp(-2.0 * n * t))  # log 2 cosh(nu t)
    height = np.exp(grown - reach + (n * rest - gammaln(n))[..., None]) * np.where(t == 0.0, STEP / 2.0, STEP)
    by_nu = t * np.tanh(n * t) + (rest - digamma(n))[..., None]
    bend_nu = (2.0 * t * np.exp(-n * t) / (1.0 + np.exp(-2.0 * n * t))) ** 2 - polygamma(1, n)
    of_s, of_n = (height * (n - reach)).sum(-1), (height * by_nu).sum(-1)
    of_ss = (height * ((n - reach) ** 2 - reach)).sum(-1)
    of_sn = (height * ((n - reach) * by_nu + 1.0)).sum(-1)
    of_nn = (height * (by_nu**2 + bend_nu)).sum(-1)
    s, nu = s._with(nu)
    mixed = s.first[:, None] * nu.first[None]
    second = of_s * s.second + of_n * nu.second + of_ss * (s.first[:, None] * s.first[None])
    second = second + of_nn * (nu.first[:, None] * nu.first[None]) + of_sn * (mixed + mixed.swapaxes(0, 1))
    return Jet(height.sum(-1), of_s * s.first + of_n * nu.first, second)
