"""The best criterion known for each hard problem: many starts, three optimizers, and the answers of lme4. Writes best.json.

    python benchmarks/hard/best.py [--starts N] [--only KIND ...]

An entry is only ever replaced by a lower one. lme4's answer counts when our criterion, evaluated at its theta, confirms it.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from generate import HardProblem, everything

import ranef
from ranef.core.solution import theta_from_user
from ranef.optim import minimise

HERE = Path(__file__).parent
BEST, LME4 = HERE / "best.json", HERE / "lme4.json"
SAME = 1e-5


def random_start(criterion: Any, rng: np.random.Generator, i: int) -> np.ndarray:
    """Standard deviations and correlations over four orders of magnitude; the sizes of the rows apart (odd i) or together."""
    theta = np.empty(criterion.size)
    for where, block in criterion.blocks:
        rows = (block.k, 1) if i % 2 else (1, 1)
        theta[where] = block.of_factor(rng.normal(size=(block.k, block.k)) * 10.0 ** rng.uniform(-2, 2, size=rows))
    return theta


def in_our_order(criterion: Any, theta: np.ndarray) -> np.ndarray:
    """lme4 sorts terms by their number of levels, most first."""
    levels = [term.group.size for term in criterion.gram.standard.design.terms]
    pieces, at = {}, 0
    for term in sorted(range(len(levels)), key=lambda i: -levels[i]):
        size = criterion.blocks[term][0].stop - criterion.blocks[term][0].start
        pieces[term] = theta[at : at + size]
        at += size
    return np.concatenate([pieces[i] for i in range(len(levels))])


def best_of(problem: HardProblem, starts: int, lme4: dict[str, Any] | None) -> dict[str, Any]:
    criterion = ranef.lmm(problem.formula, problem.data, reml=problem.reml, ddf="asymptotic").criterion
    rng = np.random.default_rng(sum(map(ord, problem.id)))
    plans = [("newton", None), ("lbfgs", None), ("bobyqa", None)]
    plans += [("newton", random_start(criterion, rng, i)) for i in range(starts)]
    plans += [("lbfgs", random_start(criterion, rng, i)) for i in range(starts // 4)]
    found = []
    for method, start in plans:
        optimum = minimise(criterion, method=method, start=start)
        found.append((optimum.value, method, method == "newton" and optimum.state != "not converged"))
    if lme4 and lme4.get("criterion") is not None:
        theta = theta_from_user(criterion, in_our_order(criterion, np.atleast_1d(np.array(lme4["theta"], dtype=float))))
        found.append((criterion.evaluate(theta, 0).value, "lme4", False))
    if problem.published is not None:
        found.append((problem.published, "published", False))
    value, by, _ = min(found)
    optima = sorted({round(v, 3) for v, _, local in found if local and v > value + 1e-3})
    return {
        "criterion": value, "by": by, "runs": len(found),
        "at_best": sum(v <= value + SAME for v, _, _ in found), "other_optima": optima[:5],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=24)
    parser.add_argument("--only", nargs="*", help="classes of problems")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    best = json.loads(BEST.read_text()) if BEST.exists() else {}
    peers = json.loads(LME4.read_text()) if LME4.exists() else {}
    for problem in everything():
        if options.only and problem.kind not in options.only:
            continue
        new = best_of(problem, options.starts, peers.get(problem.id))
        old = best.get(problem.id)
        if old is None or new["criterion"] <= old["criterion"]:
            best[problem.id] = new
        elif new["criterion"] > old["criterion"] + SAME:
            print(f"{problem.id}: {new['criterion'] - old['criterion']:.3g} above the best known")
    BEST.write_text(json.dumps(best, indent=0) + "\n")


if __name__ == "__main__":
    main()
