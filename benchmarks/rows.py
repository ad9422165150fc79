"""Evaluations of the criterion do not slow down with rows: balanced growth curves of 10 visits, 1e3 to 1e6 subjects.

    python benchmarks/rows.py [--most 1000000]

Per size: seconds of the whole call, and seconds of what comes after the pass that makes Gram blocks and collapses equal patterns:
minimising, solution and Satterthwaite tests. The bar is a factor of two between the fastest and the slowest of the latter. Exits with 1
above it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from problems import HERE, balanced_growth  # noqa: E402

sys.path.insert(0, str(HERE.parent / "src"))

import ranef  # noqa: E402
from ranef.core.criterion import Criterion  # noqa: E402
from ranef.core.solution import Solution  # noqa: E402
from ranef.fit.answer import Searched  # noqa: E402
from ranef.optim import minimise  # noqa: E402

FORMULA = "y ~ t * trt + (t | id)"
BAR = 2.0
REPEATS = 15


def after_the_pass(m: ranef.Fit) -> float:
    """CPU seconds of the fit from its criterion on, the least of several."""
    times, criterion = [], Criterion.of_gram(m.criterion.gram, m.reml)
    for _ in range(REPEATS):
        start = time.process_time()
        optimum = minimise(criterion)
        solution = Solution(criterion, optimum.theta)
        fit = type(m)(m.model, Searched(criterion, optimum, solution), ())
        assert fit.pvalues.notna().all()
        times.append(time.process_time() - start)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most", type=int, default=1_000_000, help="the largest number of subjects")
    most = parser.parse_args().most
    after = {}
    ranef.lmm(FORMULA, balanced_growth(100))
    for subjects in (size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= most):
        data = balanced_growth(subjects)
        start = time.process_time()
        m = ranef.lmm(FORMULA, data)
        whole = time.process_time() - start
        after[subjects] = after_the_pass(m)
        print(
            f"{subjects:9,d} subjects {m.nobs:11,d} rows   whole call {whole:8.4f} s   after the pass {1e3 * after[subjects]:8.3f} ms"
            f"   {m.optimum.evaluations} evaluations"
        )
    ratio = max(after.values()) / min(after.values())
    print(f"slowest / fastest after the pass: {ratio:.2f}, bar {BAR}")
    return int(ratio > BAR)


if __name__ == "__main__":
    sys.exit(main())
