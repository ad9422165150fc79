"""A perfect fit has no optimum; it is refused also where the check is dear and comes late."""

import numpy as np
import pytest

import ranef
from ranef import datasets


def test_large_crossed_factors_that_leave_nothing() -> None:
    data = datasets.load("InstEval")
    rng = np.random.default_rng(0)
    data["y"] = rng.normal(size=2972)[data["s"].cat.codes] + rng.normal(size=1128)[data["d"].cat.codes]
    with pytest.raises(ranef.ModelError, match="perfectly"):
        ranef.lmm("y ~ service + (1 | s) + (1 | d)", data)
