"""Correlation of neighbours in time, as functions of residuals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ranef.covariance.base import Array
from ranef.design import Codes

EXACT = 100  # rows below which the distribution of Durbin and Watson's d is integrated, as lmtest does
Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Series:
    """Rows in time, series after series."""

    rows: Index  # (n,)
    codes: Codes  # (n,) of the series, in the order of `rows`

    @classmethod
    def of(cls, codes: Codes | None, sequence: Index) -> Series:
        """`sequence` are the rows in time; one long series where there are no codes."""
        if codes is None:
            return cls(sequence, np.zeros(len(sequence), dtype=np.intp))
        rows = sequence[np.argsort(codes[sequence], kind="stable")]
        return cls(rows, codes[rows])

    def pairs(self, lag: int) -> int:
        """How many rows are followed by one of the same series `lag` steps later."""
        return int(np.count_nonzero(self.codes[lag:] == self.codes[:-lag]))

    def lags(self, most: int, enough: int) -> list[int]:
        """1, 2, ... as long as there are `enough` pairs."""
        out: list[int] = []
        while len(out) < min(most, len(self.rows) - 1) and self.pairs(len(out) + 1) >= enough:
            out.append(len(out) + 1)
        return out

    def ordered(self, residuals: Array) -> Array:
        """Residuals (n,) or (n, c) in the order of the series; columns stay side by side or one after the other as they are."""
        return residuals if self._as_it_stands else residuals.T.take(self.rows, axis=-1).T

    def together(self, lag: int, values: Array) -> Array:
        """Values of pairs (n - lag, ...), set to zero in place where a pair is not of one series."""
        if not self._alone:
            same = self.codes[lag:] == self.codes[:-lag]
            values *= same if values.ndim == 1 else same[:, None]
        return values

    @cached_property
    def _as_it_stands(self) -> bool:
        return bool(np.array_equal(self.rows, np.arange(len(self.rows))))

    @cached_property
    def _alone(self) -> bool:
        """Is there one series only?"""
        return not len(self.codes) or bool(np.all(self.codes == self.codes[0]))


def durbin_watson(residuals: Array, series: Series) -> Array:
    """d: sum of squared differences of neighbours over the sum of squares, for residuals (n,) or (n, c).

    Durbin and Watson (1950), Biometrika 37, 409-428; within several series Bhargava, Franzini and Narendranathan (1982),
    Rev. Econ. Stud. 49, 533-549.
    """
    e = series.ordered(residuals)
    steps = series.together(1, e[1:] - e[:-1])
    return _products(steps, steps) / _products(e, e)


def autocorrelation(residuals: Array, series: Series, lags: list[int]) -> Array:
    """(len(lags),) or (len(lags), c): mean product of residuals k steps apart in one series, over their mean square.

    As nlme's `ACF`, Pinheiro and Bates (2000), eq. 5.36.
    """
    e = series.ordered(residuals)
    square, out = _products(e, e) / max(len(e), 1), np.zeros((len(lags), *residuals.shape[1:]))
    for i, lag in enumerate(lags):
        out[i] = np.sum(series.together(lag, e[lag:] * e[:-lag]), axis=0) / series.pairs(lag) / square
    return out


def _products(a: Array, b: Array) -> Array:
    """Sums over rows of a b."""
    return np.asarray(np.einsum("n...,n...->...", a, b))


def durbin_watson_p(d: float, basis: Array) -> float:
    """Probability of a smaller d in ordinary regression, for an orthonormal basis (n, r) of the columns of X, in time order.

    Exactly P(sum (lambda_i - d) z_i^2 < 0) with the eigenvalues of M A M by Imhof (1961) in short series; else a normal
    distribution with the moments of Durbin and Watson (1951), Biometrika 38, 159-178, eq. 10.
    """
    n, r = basis.shape
    if n >= EXACT:
        mean, variance = _moments(basis)
        return float(ndtr((d - mean) / np.sqrt(variance)))
    M = np.eye(n) - basis @ basis.T
    difference = np.diff(M, axis=0)
    values = np.linalg.eigvalsh(difference.T @ difference)[r:]
    return imhof(np.asarray(values - d, dtype=float))


def _moments(basis: Array) -> tuple[float, float]:
    """Mean and variance of d: traces of M A and of its square."""
    n, r = basis.shape
    difference = np.diff(basis, axis=0)
    inner = difference.T @ difference  # Q'A Q
    second = np.diff(difference, axis=0, prepend=np.zeros((1, r)), append=np.zeros((1, r)))  # -A Q
    P = 2.0 * (n - 1) - float(np.trace(inner))
    square = 2.0 * (3 * n - 4) - 2.0 * float(np.sum(second**2)) + float(np.sum(inner**2))
    mean = P / (n - r)
    return mean, 2.0 / ((n - r) * (n - r + 2)) * (square - P * mean)


def imhof(weights: Array) -> float:
    """P(sum of weights times independent chi-squares < 0), Imhof (1961), Biometrika 48, 419-426, eq. 3.2."""
    from scipy.integrate import quad

    scaled = weights / np.abs(weights).max()

    def integrand(u: float) -> float:
        at = scaled * u
        return float(np.sin(0.5 * np.sum(np.arctan(at))) * np.exp(-0.25 * np.sum(np.log1p(at**2))) / u)

    area = quad(integrand, 1e-300, 1.0, limit=200, epsabs=1e-11)[0] + quad(integrand, 1.0, np.inf, limit=400, epsabs=1e-11)[0]
    return float(np.clip(0.5 - area / np.pi, 0.0, 1.0))
