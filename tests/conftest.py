"""Shared by all tests: the reference library, one thread, and one profile of hypothesis."""

from __future__ import annotations

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile("ranef", deadline=None, max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ranef")


@pytest.fixture(scope="session")
def reference_data():
    """`reference_data(name)`: a data set of tests/reference/data with R's types and level order."""
    from tests.reference import load

    return load.reference_data


@pytest.fixture(scope="session")
def fitted():
    """`fitted(case_id)`: the fit of a reference case, made once a session."""
    from tests.reference import load

    return load.fitted
