"""Small fits wake no BLAS threads, whose waiting would cost many times the fit; in processes of their own, as threads are counted there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import time
import numpy as np
import ranef

data = ranef.datasets.load("sleepstudy")
y = data["Reaction"].to_numpy() + np.arange(len(data)) % 7

def whole():
    m = ranef.lmm("Reaction ~ Days + (Days | Subject)", data)
    return m.pvalues, m.refit(y).pvalues

whole()
time.sleep(0.2)
others = -(time.process_time() - time.thread_time())
for _ in range(5):
    whole()
    time.sleep(0.03)
print(others + time.process_time() - time.thread_time())
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has no other threads")
def test_a_small_fit_with_tests_wakes_no_other_threads() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    assert float(done.stdout) < 0.005
