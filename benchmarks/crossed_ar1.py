"""Crossed random effects together with AR(1) residuals on 20,000 rows: fit, Kenward-Roger and marginal means.

    python benchmarks/crossed_ar1.py

400 subjects x 50 trials, each trial with one of 80 items, AR(1) residuals along a subject's trials. The bar is 10 s for all three.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pandas as pd

SUBJECTS, TRIALS, ITEMS = 400, 50, 80
BAR = 10.0  # CPU seconds


def data(seed: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    subject, trial = (a.ravel() for a in np.meshgrid(np.arange(SUBJECTS), np.arange(TRIALS), indexing="ij"))
    item = np.concatenate([rng.permutation(ITEMS)[:TRIALS] for _ in range(SUBJECTS)])
    condition = (subject + item) % 3
    noise = rng.standard_normal((SUBJECTS, TRIALS))
    for t in range(1, TRIALS):
        noise[:, t] = 0.6 * noise[:, t - 1] + np.sqrt(1 - 0.6**2) * noise[:, t]
    y = 500 + 20 * condition + rng.normal(0, 40, SUBJECTS)[subject] + rng.normal(0, 30, ITEMS)[item] + 60 * noise.ravel()
    return pd.DataFrame({"y": y, "condition": np.array(list("abc"))[condition], "subject": subject, "item": item, "trial": trial})


def main() -> int:
    import ranef

    frame = data()
    times = [time.process_time()]
    m = ranef.lmm("y ~ condition + (1 | subject) + (1 | item)", frame, residual="ar1(trial | subject)", ddf="kenward-roger")
    times.append(time.process_time())
    df = m.df
    times.append(time.process_time())
    means = ranef.emmeans(m, "condition").contrast("pairwise")
    text = str(means)
    times.append(time.process_time())
    print(m.summary())
    print(df)
    print(text)
    parts = np.diff(times)
    print(
        "CPU seconds: fit {:.2f}, Kenward-Roger {:.2f}, marginal means {:.2f}, together {:.2f} (bar {:g})".format(
            *parts, parts.sum(), BAR
        )
    )
    return int(parts.sum() > BAR)


if __name__ == "__main__":
    sys.exit(main())
