"""The problems that are timed: a formula, a seeded data set, and how each package says the same model.

Data are written once to the cache, as Feather for Python and as CSV for R, with the same digits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

# Each decimal number as the nearest float, which is the default from pandas 3 on.
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if int(pd.__version__.split(".")[0]) < 3 else {}
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
    bar: float  # times faster than the rival that we promise
    plain: str = ""
    one_factor: tuple[str, str, str] | None = None  # fixed part, group, random part: for statsmodels and mixedlm-rs
    gpboost: tuple[str, tuple[str, ...]] | None = None  # right-hand side of the fixed part, intercept-only groups
    ahead: bool = False  # whether every exact Python package has to be slower, too
    rival: str = "lme4"
    repeats: int = 3
    left_out: Mapping[str, str] = field(default_factory=dict)  # package to the reason why it is not measured

    @property
    def peer_formula(self) -> str:
        return self.plain or self.formula


def sleepstudy() -> pd.DataFrame:
    frame = pd.read_csv(REFERENCE / "sleepstudy.csv", **EXACT)
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


def nested_schools() -> pd.DataFrame:
    """31,022 pupils of 2,410 schools in 131 districts, the shape of Chem97."""
    rng = np.random.default_rng(97)
    n, schools = 31_022, 2410
    district_of, share = rng.integers(0, 131, schools), rng.gamma(1.5, size=schools)
    school = np.concatenate([np.arange(schools), rng.choice(schools, n - schools, p=share / share.sum())])
    lea, gcse = district_of[school], rng.normal(0, 0.8, n)
    score = 5.6 + 2.3 * gcse + rng.normal(0, 0.2, 131)[lea] + rng.normal(0, 1.1, schools)[school] + rng.normal(0, 2.3, n)
    return pd.DataFrame({"score": score, "gcsecnt": gcse, "lea": lea, "school": school})


def crossed_slopes() -> pd.DataFrame:
    """130,000 rows, an intercept and a slope on each of three crossed factors."""
    rng = np.random.default_rng(130)
    n = 130_000
    factors = [(rng.integers(0, m, n), m, sd) for m, sd in ((8000, 1.0), (1000, 0.7), (100, 0.5))]
    u = rng.normal(size=n)
    y = 1 + 0.5 * u + rng.normal(size=n)
    for codes, m, sd in factors:
        b = rng.normal(size=(m, 2)) * np.array([sd, sd / 2])
        y += b[codes, 0] + b[codes, 1] * u
    return pd.DataFrame({"y": y, "u": u, **{name: codes for name, (codes, _, _) in zip("ghi", factors, strict=True)}})


def lexicon() -> pd.DataFrame:
    """2.7M reaction times of 814 subjects to 80,962 items, the shape of the English Lexicon Project."""
    rng = np.random.default_rng(814)
    n, items, subjects = 2_745_952, 80_962, 814
    item = np.resize(np.arange(items), n)
    rng.shuffle(item)
    subj = rng.integers(0, subjects, n)
    y = 750 + rng.normal(0, 70, items)[item] + rng.normal(0, 170, subjects)[subj] + rng.normal(0, 180, n)
    return pd.DataFrame({"y": y, "item": item, "subj": subj})


def many_ratings(users: int, items: int, n: int, seed: int) -> pd.DataFrame:
    """About n ratings, both sides with power-law activity; every pair at most once, every user and item at least once."""
    rng = np.random.default_rng(seed)
    activity, appeal = np.arange(1, users + 1) ** -0.6, np.arange(1, items + 1) ** -0.8
    draws = n + n // 2
    pairs = rng.choice(users, draws, p=activity / activity.sum()) * items + rng.choice(items, draws, p=appeal / appeal.sum())
    pairs = np.unique(pairs)
    rng.shuffle(pairs)
    each_user = np.arange(users) * items + rng.integers(0, items, users)
    each_item = rng.integers(0, users, items) * items + np.arange(items)
    pairs = np.unique(np.concatenate([pairs[: n - users - items], each_user, each_item]))
    rng.shuffle(pairs)
    user, item = pairs // items, pairs % items
    y = 3.5 + rng.normal(0, 0.45, users)[user] + rng.normal(0, 0.6, items)[item] + rng.normal(0, 0.93, len(pairs))
    return pd.DataFrame({"y": y, "user": user, "item": item})


def million_ratings() -> pd.DataFrame:
    return many_ratings(6040, 3706, 1_000_209, 1)


def ten_million_ratings() -> pd.DataFrame:
    return many_ratings(69_878, 10_677, 10_000_054, 2)


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
HOURS = dict.fromkeys(("lme4", "lme-python", "gpboost"), "not run")  # minutes to hours each
FURTHER: tuple[Problem, ...] = (
    Problem(
        "chem97",
        "31,022 pupils in 2,410 schools of 131 districts",
        "score ~ gcsecnt + (1 | lea) + (1 | school)",
        nested_schools,
        25,
        repeats=20,
    ),
    Problem(
        "kb07max",
        "56 subjects x 32 items, all eight correlated effects on both",
        "rt ~ S*P*L + (S*P*L | subj) + (S*P*L | item)",
        kb07_like,
        85,
        plain="rt ~ S + P + L + S:P + S:L + P:L + S:P:L"
        " + (S + P + L + S:P + S:L + P:L + S:P:L | subj) + (S + P + L + S:P + S:L + P:L + S:P:L | item)",
        rival="mixedlm",
        left_out=HOURS,
    ),
    Problem(
        "xslope",
        "130k rows, correlated slopes on 8000 x 1000 x 100 crossed levels",
        "y ~ u + (u | g) + (u | h) + (u | i)",
        crossed_slopes,
        6.7,
        rival="mixedlm",
        left_out=HOURS,
    ),
    Problem(
        "elp",
        "2.7M rows, 80,962 x 814 crossed",
        "y ~ 1 + (1 | item) + (1 | subj)",
        lexicon,
        18,
        rival="mixedlm",
        left_out=HOURS,
    ),
    Problem(
        "ml1m",
        "1M ratings, 6040 x 3706 crossed",
        "y ~ 1 + (1 | user) + (1 | item)",
        million_ratings,
        49,
        rival="mixedlm",
        left_out=HOURS,
    ),
    Problem(
        "ml10m",
        "10M ratings, 69,878 x 10,677 crossed",
        "y ~ 1 + (1 | user) + (1 | item)",
        ten_million_ratings,
        0,
        repeats=1,
        left_out=HOURS | {"mixedlm": "not run"},
    ),
)
GROUPS = (
    "Subject",
    "subj",
    "item",
    "s",
    "d",
    "dept",
    "deptserv",
    "service",
    "user",
    "region",
    "school",
    "klass",
    "id",
    "lea",
    "g",
    "h",
    "i",
)


def find(name: str) -> Problem:
    return next(p for p in (*PROBLEMS, *FURTHER) if p.name == name)


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
