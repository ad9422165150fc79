"""Sampling variances that come with the data: weights sigma^2 / v_i beside a known sigma.

sigma^2 is the typical variance of Higgins and Thompson (2002), Statistics in Medicine 21, 1539-1558, eq. 9: with w = 1 / v,

    sigma^2 = (n - 1) sum w / ((sum w)^2 - sum w^2),

so that the weights are numbers near one in any unit, and tau^2 / (tau^2 + sigma^2) is I^2 of a model without moderators.
"""

from __future__ import annotations

import numpy as np

from ranef.design import Array
from ranef.errors import DataError
from ranef.schema.evaluate import first_rows

WIDEST = 1e100  # ratio of the largest to the smallest variance up to which their products are numbers


def refuse_unusable(variances: Array, missing: np.ndarray | None) -> None:
    """Raises DataError for a sampling variance that is zero, negative or infinite in a row without missing values."""
    bad = (variances <= 0) | np.isinf(variances)
    bad = bad if missing is None else bad & ~missing
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"sampling_variance is {variances[at]:g} in row {first_rows(bad)}: it must be positive and finite.",
            hint="It is the square of the standard error of each estimate. Leave out rows that have none, or mark them as missing.",
        )
    used = variances if missing is None else variances[~missing]
    if len(used) and used.max() > WIDEST * used.min():
        raise DataError(
            f"The sampling variances range from {used.min():g} to {used.max():g}, which is more than numbers can hold together.",
            hint="Check the column, or leave the rows with huge variances out: they say nothing.",
        )


def relative_weights(variances: Array) -> tuple[Array, float]:
    """(n,) sigma^2 / v, and sigma."""
    low = float(variances.min())
    w = low / variances
    pairs = 2.0 * float(w[1:] @ np.cumsum(w)[:-1])  # (sum w)^2 - sum w^2, without its cancellation
    typical = low * (len(w) - 1) * float(w.sum()) / pairs if len(w) > 1 else low
    return typical / variances, float(np.sqrt(typical))
