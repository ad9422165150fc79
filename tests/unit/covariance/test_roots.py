"""Square roots of singular matrices."""

from __future__ import annotations

import numpy as np
import pytest

from ranef.covariance.roots import filled_from_the_left


@pytest.mark.parametrize(
    "rows", [[[0, 0], [3, 4]], [[0, 0, 0], [1, 0, 2], [2, 0, 4]], [[2, 0, 0], [0, 0, 0], [1, 2, 2]], [[1, 0], [2, 0]]]
)
def test_zero_columns_come_last(rows: list[list[float]]) -> None:
    lower = np.array(rows, dtype=float)
    out, rank = filled_from_the_left(lower), np.linalg.matrix_rank(lower)
    np.testing.assert_allclose(out @ out.T, lower @ lower.T, atol=1e-12)
    assert not np.triu(out, 1).any() and not out[:, rank:].any() and (out.diagonal() >= 0).all()
