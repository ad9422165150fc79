"""The problems that are timed: a formula, a seeded data set, and how each package says the same model.

Data are written once to the cache, as Feather for Python and as CSV for R, with the same digits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("RANEF_BENCH_CACHE", HERE / ".cache"))
REFERENCE = HERE.parent / "tests" / "reference" / "data"


@dataclass(frozen=True)
class Problem:
    """`formula` is lme4's; `plain` the same with every grouping factor a column, for packages that know no `a:b`."""

    name: str
    title: str
    formula: str
    make: Callable[[], pd.DataFrame]
    bar: float  # times faster than lme4 that we promise
    plain: str = ""
    one_factor: tuple[str, str, str] | None = None  # fixed part, group, random part: for statsmodels and mixedlm-rs
    gpboost: tuple[str, tuple[str, ...]] | None = None  # right-hand side of the fixed part, intercept-only groups
    ahead: bool = False  # whether every exact Python package has to be slower, too
    repeats: int = 3
    left_out: Mapping[str, str] = field(default_factory=dict)  # package to the reason why it is not measured

    @property
    def peer_formula(self) -> str:
        return self.plain or self.formula


def sleepstudy() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "sleepstudy.csv", float_precision="round_trip")
    return frame.assign(Subject=frame["Subject"].astype(str))


def kb07_like() -> pd.DataFrame:
    """56 subjects x 32 items, three crossed two-level factors, covariance matrices of rank two: a singular truth."""
    rng = np.random.default_rng(2007)
    subject, item = (a.ravel() for a in np.meshgrid(np.arange(56), np.arange(32), indexing="ij"))
    cell = (subject + item) % 8
    S, P, L = (np.where((cell >> shift) & 1, 1.0, -1.0) for shift in range(3))
    z = np.column_stack([np.ones_like(S), S, P, L])

    def blups(levels: int, scale: float) -> np.ndarray:
        loadings = scale * np.array([[1.0, 0.0], [-0.2, 0.15], [-0.3, 0.05], [0.1, -0.2]])
        return rng.normal(size=(levels, 2)) @ loadings.T

    fixed = 2180 - 67 * S - 333 * P + 78 * L + 22 * S * P - 20 * S * L + 20 * P * L
    random = np.sum(z * (blups(56, 300)[subject] + blups(32, 350)[item]), axis=1)
    rt = fixed + random + rng.normal(0, 670, size=len(S))
    frame = pd.DataFrame({"rt": rt, "S": S, "P": P, "L": L, "subj": subject, "item": item})
    frame["subj"], frame["item"] = "S" + frame["subj"].astype(str), "I" + frame["item"].astype(str)
    return frame.drop(index=[100, 700, 1500]).reset_index(drop=True)


def insteval() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "InstEval.csv.gz", dtype={"s": str, "d": str, "service": str, "dept": str})
    frame = frame[["y", "s", "d", "service", "dept"]]
    return frame.assign(deptserv=frame["dept"] + ":" + frame["service"], y=frame["y"].astype(float))


def ratings() -> pd.DataFrame:
    """100k ratings of 1682 items by 943 users, both with power-law activity; every pair at most once."""
    rng = np.random.default_rng(100_000)
    users, items, n = 943, 1682, 100_000
    activity = np.arange(1, users + 1) ** -0.6
    appeal = np.arange(1, items + 1) ** -0.8
    gumbel = rng.gumbel(size=(users, items)) + np.log(activity)[:, None] + np.log(appeal)[None, :]
    gumbel[np.arange(users), rng.integers(0, items, users)] = np.inf
    gumbel[rng.integers(0, users, items), np.arange(items)] = np.inf
    chosen = np.argpartition(-gumbel.ravel(), n)[:n]
    rng.shuffle(chosen)
    user, item = chosen // items, chosen % items
    score = 3.5 + rng.normal(0, 0.45, users)[user] + rng.normal(0, 0.6, items)[item] + rng.normal(0, 0.93, n)
    return pd.DataFrame({"y": score, "user": user, "item": item})


def nested_three() -> pd.DataFrame:
    rng = np.random.default_rng(500)
    n = 1_000_000
    school_of = np.sort(rng.integers(0, 10_000, 100_000))
    region_of = np.sort(rng.integers(0, 500, 10_000))
    klass = np.concatenate([np.arange(100_000), rng.integers(0, 100_000, n - 100_000)])
    rng.shuffle(klass)
    school = school_of[klass]
    region = region_of[school]
    x = rng.normal(size=n)
    y = 50 + 2 * x + rng.normal(0, 3, 500)[region] + rng.normal(0, 4, 10_000)[school]
    y += rng.normal(0, 2.5, 100_000)[klass] + rng.normal(0, 8, n)
    return pd.DataFrame({"y": y, "x": x, "region": region, "school": school, "klass": klass})


def balanced_growth(subjects: int = 100_000, visits: int = 10) -> pd.DataFrame:
    rng = np.random.default_rng(10)
    identity = np.repeat(np.arange(subjects), visits)
    t = np.tile(np.arange(visits, dtype=float), subjects)
    trt = rng.integers(0, 2, subjects)[identity].astype(float)
    b0 = rng.normal(0, 2, subjects)
    b1 = 0.1 * b0 + rng.normal(0, 0.4, subjects)
    y = 10 + 0.5 * t + 0.2 * t * trt + b0[identity] + b1[identity] * t + rng.normal(0, 1.5, subjects * visits)
    return pd.DataFrame({"y": y, "t": t, "trt": trt, "id": identity})


def unbalanced_growth() -> pd.DataFrame:
    """1M rows of 100k groups with gamma-distributed sizes, times of their own and four covariates."""
    rng = np.random.default_rng(1_000_000)
    groups, n = 100_000, 1_000_000
    share = rng.gamma(1.5, size=groups)
    identity = np.sort(np.concatenate([np.arange(groups), rng.choice(groups, n - groups, p=share / share.sum())]))
    t = rng.uniform(0, 10, n)
    x = rng.normal(size=(n, 4))
    b0 = rng.normal(0, 2, groups)
    b1 = -0.1 * b0 + rng.normal(0, 0.3, groups)
    y = 10 + 0.5 * t + x @ np.array([1.0, -0.5, 0.25, 0.0]) + b0[identity] + b1[identity] * t + rng.normal(0, 1.5, n)
    return pd.DataFrame({"y": y, "t": t, "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "x4": x[:, 3], "id": identity})


PROBLEMS: tuple[Problem, ...] = (
    Problem(
        "sleepstudy",
        "sleepstudy, correlated slope",
        "Reaction ~ Days + (Days | Subject)",
        sleepstudy,
        6,
        one_factor=("Reaction ~ Days", "Subject", "~Days"),
        repeats=200,
    ),
    Problem(
        "refit",
        "sleepstudy, `refit` to a new response",
        "Reaction ~ Days + (Days | Subject)",
        sleepstudy,
        100,
        repeats=200,
    ),
    Problem(
        "kb07",
        "56 subjects x 32 items, four correlated effects on both",
        "rt ~ S*P*L + (S + P + L | subj) + (S + P + L | item)",
        kb07_like,
        20,
        plain="rt ~ S + P + L + S:P + S:L + P:L + S:P:L + (S + P + L | subj) + (S + P + L | item)",
        repeats=5,
    ),
    Problem(
        "insteval",
        "InstEval, three factors",
        "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)",
        insteval,
        40,
        plain="y ~ service + (1 | s) + (1 | d) + (1 | deptserv)",
        gpboost=("service", ("s", "d", "deptserv")),
        ahead=True,
        left_out={"lme-python": "> 600 s"},
    ),
    Problem(
        "ratings",
        "ratings, 100k rows, 943 x 1682 crossed",
        "y ~ 1 + (1 | user) + (1 | item)",
        ratings,
        40,
        gpboost=("1", ("user", "item")),
    ),
    Problem(
        "nested3",
        "three nested levels, 1M rows",
        "y ~ x + (1 | region) + (1 | school) + (1 | klass)",
        nested_three,
        50,
        gpboost=("x", ("region", "school", "klass")),
        left_out={"lme-python": "not run"},
    ),
    Problem(
        "longbal",
        "balanced growth, 100k subjects x 10",
        "y ~ t * trt + (t | id)",
        balanced_growth,
        60,
        one_factor=("y ~ t * trt", "id", "~t"),
        left_out={"statsmodels": "not run"},
    ),
    Problem(
        "longunbal",
        "unbalanced growth, 1M rows, 100k groups",
        "y ~ t + x1 + x2 + x3 + x4 + (t | id)",
        unbalanced_growth,
        80,
        one_factor=("y ~ t + x1 + x2 + x3 + x4", "id", "~t"),
        left_out={"statsmodels": "not run"},
    ),
)
GROUPS = ("Subject", "subj", "item", "s", "d", "dept", "deptserv", "service", "user", "region", "school", "klass", "id")


def find(name: str) -> Problem:
    return next(p for p in PROBLEMS if p.name == name)


def data_path(problem: Problem, suffix: str) -> Path:
    """The data of a problem in the cache (`.feather` or `.csv`), made where it is missing."""
    path = CACHE / "data" / f"{problem.name}{suffix}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = problem.make()
        if suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_feather(path)
    return path
