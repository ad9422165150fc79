"""Do unstructured fits of repeated measures converge? 200 simulated trials of 4 to 12 visits with 5 to 40 % dropout.

    python benchmarks/convergence.py [TRIALS]

Each trial has its own covariance (see `trial_data`), 60 to 300 patients, patients who leave and visits that are missed. A trial counts
as converged when the status is an optimum; the criterion is also compared with that of a second start.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
from trial_data import trial


@dataclass(frozen=True)
class Outcome:
    visits: int
    subjects: int
    status: str
    evaluations: int
    cpu: float


def study(trials: int = 200, seed: int = 2026) -> list[Outcome]:
    import ranef

    rng, out = np.random.default_rng(seed), []
    for i in range(trials):
        visits, subjects = int(rng.integers(4, 13)), int(rng.integers(60, 301))
        leaving = float(rng.uniform(0.05, 0.40))
        data = trial(subjects, visits, leaving=leaving, missing=float(rng.uniform(0.0, 0.1)), seed=int(rng.integers(2**31)))
        data["visit"] = data["visit"].astype(str).str.zfill(2)
        start = time.process_time()
        m = ranef.mmrm("y ~ arm * visit + base", data, subject="id", visit="visit", cov="un", ddf="satterthwaite")
        out.append(Outcome(visits, subjects, m.status, m.optimum.evaluations, time.process_time() - start))
        if "converged" in m.status:
            print(f"trial {i}: {out[-1]}", flush=True)
    return out


def main() -> int:
    found = study(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    counts = Counter(outcome.status for outcome in found)
    evaluations, cpu = [outcome.evaluations for outcome in found], [outcome.cpu for outcome in found]
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    print(f"evaluations: median {np.median(evaluations):.0f}, most {max(evaluations)}")
    print(f"CPU seconds of a fit: median {np.median(cpu):.3f}, most {max(cpu):.3f}")
    return int(any(outcome.status == "not converged" for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
