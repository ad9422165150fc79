"""Do unstructured fits of repeated measures converge? 200 simulated trials of 4 to 12 visits with 5 to 40 % dropout.

    python benchmarks/convergence.py [TRIALS]

Each trial has its own covariance (see `trial_data`), 60 to 300 patients, patients who leave and visits that are missed. A trial counts
as converged when the status is an optimum. Each is fitted once more from a random covariance matrix, standard deviations over an order
of magnitude: the criterion must not be above that of the second start.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from trial_data import trial

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@dataclass(frozen=True)
class Outcome:
    visits: int
    subjects: int
    status: str
    evaluations: int
    cpu: float
    excess: float  # of the criterion over that from the second start


def study(trials: int = 200, seed: int = 2026) -> list[Outcome]:
    import ranef

    rng, other, out = np.random.default_rng(seed), np.random.default_rng(seed + 1), []
    for i in range(trials):
        visits, subjects = int(rng.integers(4, 13)), int(rng.integers(60, 301))
        leaving = float(rng.uniform(0.05, 0.40))
        data = trial(subjects, visits, leaving=leaving, missing=float(rng.uniform(0.0, 0.1)), seed=int(rng.integers(2**31)))
        data["visit"] = data["visit"].astype(str).str.zfill(2)
        start = time.process_time()
        m = ranef.mmrm("y ~ arm * visit + base", data, subject="id", visit="visit", cov="un", ddf="satterthwaite")
        cpu = time.process_time() - start
        excess = m.optimum.value - second_start(m, other).optimum.value
        out.append(Outcome(visits, subjects, m.status, m.optimum.evaluations, cpu, excess))
        if "converged" in m.status:
            print(f"trial {i}: {out[-1]}", flush=True)
    return out


def second_start(m: Fit, rng: np.random.Generator) -> Fit:
    """The same model from a random lower triangle, column by column, in standardised units."""
    from ranef.fit.run import answer

    columns, rows = np.triu_indices(len(m.model.design.residual.visits))
    theta = rng.normal(0.0, 0.3, size=len(rows))
    theta[rows == columns] = np.exp(rng.normal(0.0, 0.6, size=int((rows == columns).sum())))
    scale = np.abs(m.optimum.theta[rows == columns]).mean()
    return answer(m.model, m.criterion.gram, None, warm=scale * theta)


def main() -> int:
    found = study(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    counts = Counter(outcome.status for outcome in found)
    evaluations, cpu = [outcome.evaluations for outcome in found], [outcome.cpu for outcome in found]
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    print(f"evaluations: median {np.median(evaluations):.0f}, most {max(evaluations)}")
    print(f"CPU seconds of a fit: median {np.median(cpu):.3f}, most {max(cpu):.3f}")
    print(f"criterion above that of the second start by at most {max(outcome.excess for outcome in found):.1e}")
    print(f"and below it by more than 1e-6 in {sum(outcome.excess < -1e-6 for outcome in found)} trials")
    return int(any(outcome.status == "not converged" or outcome.excess > 1e-6 for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
