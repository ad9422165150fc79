"""How the data sets `square*` were made: `python docs/make_square.py FOLDER` writes four CSV files.

They are simulated, in the shape of a primer on mixed models (SQUARE, Vrije Universiteit Brussel) whose data are not published:
64 patients with a test score between 0 and 20, an age, and one of nine groups. What regressions leave open is noise. It is used
to make the estimates that the primer prints come out, so that who reads the primer meets the same numbers:

- square: ages, coefficients and noise are moved by least squares until the printed tables of the regressions on age, on the
  group, on both and with their interaction come out; the treatments are then given to the patients so that their tables do.
  From other versions of NumPy and SciPy other patients may come, with the same tables.
- square_slopes: 18 groups; their intercepts and slopes are moved until the random effects have about the printed moments.
- square_visits: four visits of nine patients; means and residual variance are the printed ones exactly.
- square_growth: nine patients seen at irregular times, made like square_slopes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

SIZES = np.array([4, 4, 8, 8, 16, 8, 8, 4, 4])
GROUP = np.repeat(np.arange(9), SIZES)
MEANS = np.array([66.4, 46.6, 52.0, 57.9, 58.5, 63.2, 74.2, 46.6, 54.7])  # of the ages, as the printed standard errors imply
SPREADS = np.array([646, 230, 2407, 3424, 6180, 3190, 1902, 647, 1235]) * 0.95
OWN = np.array([16.453, 0.039, -6.047, -3.964, -4.818, -5.759, -6.099, -6.496, -7.488, -8.260,
                0.085, 0.029, 0.033, 0.037, 0.027, 0.028, 0.035, 0.036])  # fmt: skip
OWN_T = np.array([22.541, 3.611, -5.386, -5.001, -6.141, -7.560, -7.643, -7.447, -8.347, -9.640,
                  4.033, 2.384, 2.803, 3.259, 2.281, 2.240, 2.293, 2.702])  # fmt: skip
COMMON = np.array([14.327, 0.0709, -1.458, -2.021, -2.652, -3.347, -4.245, -4.623, -5.230, -5.914])
COMMON_T = np.array([67.238, 31.777, -6.606, -10.696, -14.133, -19.287, -22.564, -24.652, -23.711, -27.133])


def regression(X, y):
    """Estimates, their standard errors, and the residual sum of squares."""
    inverse = np.linalg.inv(X.T @ X)
    estimate = inverse @ X.T @ y
    rss = np.sum((y - X @ estimate) ** 2)
    return estimate, np.sqrt(rss / (len(y) - X.shape[1]) * inverse.diagonal()), rss


def scores(x):
    """Ages, the design with an age effect of each group, and scores, from the 146 numbers that are free."""
    age, shift, noise = x[:64], x[64:82], x[82:]
    groups = np.eye(9)[GROUP][:, 1:]
    X = np.column_stack([np.ones(64), age, groups, groups * age[:, None]])
    basis = np.linalg.qr(X)[0]
    left = noise - basis @ (basis.T @ noise)
    return age, X, X @ (OWN + 0.0005 * shift) + left * np.sqrt(3.465 / (left @ left))


def misses(x, old):
    """How far the tables are from the printed ones, in units of their last digit; `old` are the patients above 60."""
    age, X, y = scores(x)
    found = []
    estimate, error, _ = regression(X, y)
    found += [(estimate / error - OWN_T) / 0.003]
    estimate, error, rss = regression(X[:, :10], y)
    digits = np.where(np.arange(10) == 1, 0.00005, 0.0005)
    found += [(estimate - COMMON) / digits, (estimate / error - COMMON_T) / 0.01, [(rss - 5.053) / 0.0005]]
    estimate, error, rss = regression(X[:, :2], y)
    found += [(estimate - [10.987, 0.071]) / 0.0005, [(error[0] - 0.618) / 0.0005, (rss - 141.995) / 0.001]]
    found += [[(y.mean() - 15.086) / 0.0005, (np.sum((y - y.mean()) ** 2) - 253.034) / 0.001]]
    found += [[(y[~old].mean() - 14.206) / 0.0005, (y[old].mean() - y[~old].mean() - 1.877) / 0.0005]]
    means = [np.array([column[GROUP == j].mean() for j in range(9)]) for column in (age, y)]
    estimate, error, _ = regression(np.column_stack([np.ones(9), means[0]]), means[1])
    found += [(estimate - [8.8772, 0.1089]) / [0.01, 0.0002], (error - [5.1324, 0.0890]) / [0.01, 0.0002]]
    limits = np.where(old, np.minimum(age - 60.3, 0), np.maximum(age - 59.8, 0)) * 20
    return np.concatenate([*found, limits, np.maximum(age - 92, 0) * 3, np.minimum(age - 18, 0) * 3, 0.3 * x[64:82]])


def therapy_misses(x, therapy):
    """The same for the treatment that older patients tend to get."""
    age, _, y = scores(x)
    one = np.ones(64)
    estimate, error, _ = regression(np.column_stack([one, age, therapy, age * therapy]), y)
    found = [(estimate - [9.050, 0.131, -2.102, -0.013]) / 0.0005, (estimate / error - [13.227, 8.942, -1.660, -0.620]) / 0.001]
    estimate, error, _ = regression(np.column_stack([one, age, therapy]), y)
    found += [(estimate - [9.335, 0.125, -2.849]) / 0.0005, (estimate / error - [18.527, 12.005, -7.417]) / 0.001]
    estimate, _, _ = regression(np.column_stack([one, therapy]), y)
    return np.concatenate([*found, (estimate - [14.910, 0.351]) / 0.0005])


def chosen(age, y, rng):
    """Who gets the therapy: the older and the worse ones, exchanged until its effect given age is about the printed one."""
    order = np.argsort((age - age.mean()) / 18.7 - 0.8 * (y - 15) / 2 + rng.normal(0, 0.5, 64))
    given = (np.argsort(order) >= 32).astype(float)

    def loss(given):
        estimate, _, _ = regression(np.column_stack([np.ones(64), age, given]), y)
        return np.abs((estimate - [9.335, 0.125, -2.849]) / [0.01, 0.001, 0.01]).sum() + abs(y[given == 1].mean() - 15.261) / 0.01

    for _ in range(6000):
        other = given.copy()
        other[[rng.choice(np.flatnonzero(given == 1)), rng.choice(np.flatnonzero(given == 0))]] = [0, 1]
        given = other if loss(other) < loss(given) else given
    return given


def square() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    age = np.empty(64)
    for j, size in enumerate(SIZES):
        place = rng.uniform(-1, 1, size)
        place -= place.mean()
        age[GROUP == j] = MEANS[j] + place * np.sqrt(SPREADS[j] / (place @ place))
    old = np.argsort(np.argsort(age)) >= 34
    x = np.concatenate([np.where(old, np.maximum(age, 61), np.minimum(age, 59)), np.zeros(18), rng.normal(size=64)])
    scale = np.concatenate([np.full(64, 5.0), np.ones(18), np.full(64, 0.5)])
    x = least_squares(misses, x, args=(old,), max_nfev=100, x_scale=scale).x
    therapy = chosen(*scores(x)[::2], rng)
    for weight in (0.003, 0.03, 0.3, 1.0, 1.0):

        def both(x, weight=weight):
            return np.concatenate([misses(x, old), weight * therapy_misses(x, therapy)])

        x = least_squares(both, x, max_nfev=60, x_scale=scale).x
    age, _, y = scores(x)
    arm = randomised(y, (14.282 + 1.609) * 32, rng)
    words = np.array(["control", "treatment"])
    columns = {"group": GROUP + 1, "age": age.round(2), "age_d": np.where(old, ">60", "<=60"), "arm": words[arm.astype(int)]}
    data = pd.DataFrame({**columns, "therapy": words[therapy.astype(int)], "score": y.round(3)})
    data = data.iloc[rng.permutation(64)].reset_index(drop=True)
    data.insert(0, "id", np.arange(1, 65))
    return data


def randomised(y, total, rng):
    """Half of the patients, drawn again until their scores add up to `total`."""
    while True:
        given = rng.permutation(64)[:32]
        others = np.setdiff1d(np.arange(64), given)
        gaps = y[others][None, :] - y[given][:, None] - (total - y[given].sum())
        i, j = np.unravel_index(np.argmin(np.abs(gaps)), gaps.shape)
        if abs(gaps[i, j]) < 0.002:
            given[i] = others[j]
            return np.isin(np.arange(64), given)


def clustered(group, x, mean, sd, correlation, sigma, rng):
    """Scores whose groups' own regressions have the moments that make REML find about these parameters."""
    levels = group.max() + 1
    noise = rng.normal(0, sigma, len(x))
    sampling = np.zeros((2, 2))
    for j in range(levels):
        Z = np.column_stack([np.ones(np.sum(group == j)), x[group == j]])
        noise[group == j] -= Z @ np.linalg.lstsq(Z, noise[group == j], rcond=None)[0]
        sampling += sigma**2 * np.linalg.inv(Z.T @ Z) / levels
    noise *= sigma * np.sqrt((len(x) - 2 * levels) / np.sum(noise**2))
    raw = rng.normal(size=(levels, 2))
    raw = np.linalg.solve(np.linalg.cholesky(np.cov(raw.T)), (raw - raw.mean(0)).T).T  # mean 0, covariance I
    wanted = np.outer(sd, sd) * np.array([[1, correlation], [correlation, 1]]) + sampling
    effects = raw @ np.linalg.cholesky(wanted).T + mean
    return effects[group, 0] + effects[group, 1] * x + noise


def slopes() -> pd.DataFrame:
    """128 patients in 18 groups, whose slopes differ and go with their intercepts."""
    rng = np.random.default_rng(18)
    group = np.repeat(np.arange(18), [6, 7, 8] * 5 + [7, 8, 8])
    age = rng.uniform(22, 90, 128).round(1)
    score = clustered(group, age, [10.9977, 0.0736], [3.0292, 0.0701], -0.8820, 0.2751, rng)
    return pd.DataFrame({"id": np.arange(1, 129), "group": group + 1, "age": age, "score": score.round(3)})


def visits() -> pd.DataFrame:
    """Nine patients at baseline and after 3, 6 and 9 months."""
    rng = np.random.default_rng(9)
    noise = rng.normal(size=(9, 4))
    noise += noise.mean() - noise.mean(0) - noise.mean(1, keepdims=True)
    noise *= np.sqrt(24 * 0.245**2 * 9 / 2 / np.sum(noise**2))  # the standard error of a difference becomes 0.245
    level = rng.normal(size=9)
    level = 12.0 + 1.2 * (level - level.mean()) / level.std(ddof=1)
    score = level[:, None] + np.array([0, 0.799, 1.170, 2.201]) + noise
    month = np.tile([0, 3, 6, 9], 9)
    columns = {"patient": np.repeat(np.arange(1, 10), 4), "visit": [f"T{m}" for m in month], "month": month}
    return pd.DataFrame({**columns, "score": score.ravel().round(4)})


def growth() -> pd.DataFrame:
    """Nine patients, each at eight to twelve moments of their own in nine months."""
    rng = np.random.default_rng(24)
    sizes = rng.integers(8, 13, 9)
    month = np.concatenate([np.sort(rng.uniform(0, 9, size)) for size in sizes]).round(1)
    patient = np.repeat(np.arange(9), sizes)
    score = clustered(patient, month, [11.227, 0.438], [2.005, 0.312], -0.125, 1.908, rng)
    return pd.DataFrame({"patient": patient + 1, "month": month, "score": score.round(3)})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, make in {"square_slopes": slopes, "square_visits": visits, "square_growth": growth, "square": square}.items():
        make().to_csv(folder / f"{name}.csv", index=False)
