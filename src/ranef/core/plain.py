"""No random effects: ordinary least squares as the special case with V = I."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ranef.core.gram import Gram
from ranef.core.pieces import Gls, Pieces
from ranef.covariance.base import Array


@dataclass(frozen=True, eq=False)
class Plain:
    """The engine of a model without random terms."""

    exact: ClassVar[bool] = True
    order: ClassVar[int] = 0

    gram: Gram

    def pieces(self, factors: list[Array], order: int) -> Pieces:
        c = len(self.gram.ww)
        none = np.zeros((0, 0))
        return Pieces(0.0, Gls.of(self.gram.ww), np.zeros(0), np.zeros((0, c, c)), none, none, none)

    def with_gram(self, gram: Gram) -> Plain:
        return Plain(gram)

    def saturated(self) -> Array:
        return self.gram.ww

    def projections(self, factors: list[Array]) -> list[Array]:
        return []

    def apply(self, factors: list[Array], vectors: list[Array]) -> list[Array]:
        return []

    def conditional(self, factors: list[Array], f: int, g: int, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
        return np.zeros((len(rows), 0, 0))
