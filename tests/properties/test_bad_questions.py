"""Bad arguments to every public function: one clear error that names them, never a traceback from below and never a silent answer.

tests/properties/test_bad_input.py asks the same of data and formulas.
"""

from __future__ import annotations

import copy
import decimal
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import ranef
from ranef.cli import main

GOOD = "y ~ x + (1 | g)"
P = ranef.plot


def base(**columns: Any) -> pd.DataFrame:
    """Six groups of four rows."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(6), 4)
    y = rng.normal(size=24) + np.repeat(rng.normal(size=6), 4)
    frame = pd.DataFrame({"y": y, "x": rng.normal(size=24), "g": [f"g{i}" for i in g]})
    return frame.assign(c=np.tile(["a", "b"], 12), k=np.tile([0, 1, 2, 3], 6), **columns)


@cache
def fits() -> dict[str, ranef.Fit]:
    load = ranef.datasets.load
    sleep, growth = load("sleepstudy"), load("Orthodont")
    return {
        "m": ranef.lmm("Reaction ~ Days + (Days | Subject)", sleep),
        "m0": ranef.lmm("Reaction ~ Days + (1 | Subject)", sleep),
        "mc": ranef.lmm("y ~ c * x + (1 | g)", base()),
        "oats": ranef.lmm("yield ~ factor(nitro) + Variety + (1 | Block / Variety)", load("Oats")),
        "singular": ranef.lmm("Yield ~ 1 + (1 | Batch)", load("Dyestuff2")),
        "trial": ranef.mmrm("distance ~ factor(age) * Sex", growth, subject="Subject", visit="age"),
        "ols": ranef.lm("Reaction ~ Days", sleep),
    }


class Fits:
    """`f.m` is the fit called m."""

    def __getattr__(self, name: str) -> Any:
        return fits()[name]


f = Fits()
new = pd.DataFrame({"c": ["a"], "x": [1.0], "g": ["g0"]})
growth: Callable[[], pd.DataFrame] = lambda: ranef.datasets.load("Orthodont")  # noqa: E731

# question: (call, words that the message must have)
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    # fitting
    "formula of bytes": (lambda: ranef.lmm(b"y ~ x", base()), "bytes"),
    "formula and data swapped": (lambda: ranef.lmm(base(), GOOD), "DataFrame"),
    "reml is text": (lambda: ranef.lmm(GOOD, base(), reml="no"), "reml 'no'"),
    "reml is nothing": (lambda: ranef.lmm(GOOD, base(), reml=None), "reml"),
    "ddf is a list": (lambda: ranef.lmm(GOOD, base(), ddf=["residual"]), "residual satterthwaite"),
    "contrasts as text": (lambda: ranef.lmm("y ~ c + (1 | g)", base(), contrasts="sum"), "contrasts str dict"),
    "contrasts as a list": (lambda: ranef.lmm("y ~ c + (1 | g)", base(), contrasts=["sum"]), "contrasts list dict"),
    "functions as a list": (lambda: ranef.lmm(GOOD, base(), functions=[np.log]), "functions list dict"),
    "hold as a list": (lambda: ranef.lmm(GOOD, base(), hold=[1]), "hold list dict"),
    "covariances as a list": (lambda: ranef.lmm("y ~ x + (1 | gr(g, cov = A))", base(), covariances=[1]), "covariances list"),
    "start of text": (lambda: ranef.lmm(GOOD, base(), start={"g": 1}), "start theta"),
    **{
        f"start={start} by {by}": (
            (lambda start=start, by=by: ranef.lmm(GOOD, base(), start=[start], optimizer=by)), f"start [{start}] large",
        )
        for start in (1e200, -1e200, 1e60) for by in ("newton", "bobyqa", "lbfgs", "em")
    },
    "start of two factors": (lambda: ranef.lmm("y ~ x + (1 | g) + (1 | k)", base(), start=[1e200, 1]), "start large"),
    "start of a structure": (lambda: ranef.lmm("y ~ x + ar1(factor(k) | g)", base(), start=[1e150, 0.5]), "start large"),
    "start of residuals": (lambda: ranef.lmm("y ~ x", base(), residual="toeph(k | g)", start=[1e200] * 7), "start large"),
    "weights as one number": (lambda: ranef.lmm(GOOD, base(), precision_weights=2.0), "precision_weights float"),
    "weights in two dimensions": (lambda: ranef.lmm(GOOD, base(), precision_weights=np.ones((24, 2))), "precision_weights 2"),
    "structure misspelt": (lambda: ranef.lmm(GOOD, base(), residual="arl(k | g)"), "arl ar1"),
    "structure without a bar": (lambda: ranef.lmm(GOOD, base(), residual="ar1"), "ar1"),
    "numbers beyond floats": (lambda: ranef.lmm(GOOD, base(x=2**60 + np.arange(24))), "x 53"),
    "squares beyond floats": (lambda: ranef.lmm(GOOD, base().assign(y=lambda d: d["y"] * 1e300)), "y e+300 unit"),
    "squares below floats": (lambda: ranef.lmm(GOOD, base().assign(x=lambda d: d["x"] * 1e-300)), "x e-300 unit"),
    "long columns of huge numbers": (lambda: ranef.lmm("y ~ x", {"y": np.arange(9e3) * 1e200, "x": np.arange(9e3) % 7}), "y e+203"),
    "numbers that are text": (lambda: ranef.lmm(GOOD, base().assign(x=lambda d: d["x"].astype(str))), "x 24 numbers"),
    "a set as a column": (lambda: ranef.lmm(GOOD, {"y": set(range(24)), "x": range(24), "g": [1, 2, 3] * 8}), "y set"),
    "a folder": (lambda: ranef.lmm(GOOD, "/"), "folder"),
    "an address": (lambda: ranef.lmm(GOOD, "https://example.org/d.csv"), "address"),
    "look-alike letters": (lambda: ranef.lmm("y ~ e\u0301 + (1 | g)", base().rename(columns={"x": "\u00e9"})), "Unicode"),
    "describe nothing": (lambda: ranef.describe(GOOD, None), "NoneType"),
    "mmrm without a subject": (lambda: ranef.mmrm("distance ~ age", growth(), subject=None, visit="age"), "subject None"),
    "mmrm with a number": (lambda: ranef.mmrm("distance ~ age", growth(), subject="Subject", visit="age", cov=3), "cov 3"),
    "mmrm without structures": (lambda: ranef.mmrm("distance ~ age", growth(), subject="Subject", visit="age", cov=[]), "cov"),
    "mmrm with random effects": (
        lambda: ranef.mmrm("distance ~ age + (1 | Subject)", growth(), subject="Subject", visit="age"),
        "mmrm (1 | Subject) lmm un(age | Subject)",
    ),
    "mmrm as R writes it": (
        lambda: ranef.mmrm("distance ~ age + us(age | Subject)", growth(), subject="Subject", visit="age", cov=["ar1", "cs"]),
        "us(age | Subject) cov= ar1(age | Subject)",
    ),
    "no structures to compare": (lambda: ranef.compare_structures(f.trial, []), "structures"),
    "sampling variances below zero": (lambda: ranef.meta([1.0, 2, 3], [1, -2, 1]), "-2 row 1"),
    "a pedigree of nothing": (lambda: ranef.pedigree(None, None, None), "member None"),
    "a precision of text": (lambda: ranef.precision("x", ["a"]), "matrix 'x'"),
    # what is not a fit
    **{
        f"{name} of {type(wrong).__name__}": ((lambda name=name, wrong=wrong: getattr(ranef, name)(wrong)), f"{name} fit {type(wrong).__name__}")
        for name in (
            "ranova", "henderson", "icc", "r2", "variance_partition", "cohens_d", "standardised", "reliability", "design_effect",
            "acf", "marginal_covariance", "pooling", "hausman", "heterogeneity", "profile", "bootstrap", "influence", "check",
            "quantile_residuals", "re_pca", "rlrt", "robust", "as_marginaleffects", "side_by_side",
        )
        for wrong in (None, "m")
    },
    "compare a formula": (lambda: ranef.compare(f.m, "Reaction ~ 1"), "compare str"),
    "compare a list": (lambda: ranef.compare([f.m0, f.m]), "compare list"),
    "report a table": (lambda: ranef.report(f.m.tidy(), "t.html"), "report Table"),
    "f2 against nothing": (lambda: ranef.f2(f.m, None), "f2 NoneType"),
    "means of nothing": (lambda: ranef.emmeans(None, "a"), "NoneType"),
    "a plain number as bootstrap": (lambda: ranef.icc(f.m, bootstrap=3), "bootstrap int"),
    # levels and seeds
    **{
        f"level {level!r} of {name}": ((lambda ask=ask, level=level: ask(level)), f"level {level}")
        for level in (95, 0, -0.5, float("nan"), "0.95")
        for name, ask in {
            "emmeans": lambda level: ranef.emmeans(f.oats, "nitro", level=level),
            "emtrends": lambda level: ranef.emtrends(f.m, "Days", level=level),
            "confint of means": lambda level: ranef.emmeans(f.oats, "nitro").confint(level=level),
            "acf": lambda level: ranef.acf(f.m, level=level),
            "contextual": lambda level: ranef.contextual(f.m0, "Days", level=level),
            "conf_int": lambda level: f.m.conf_int(level=level),
            "tidy": lambda level: f.m.tidy(conf_int=True, level=level),
            "caterpillar": lambda level: P.caterpillar(f.m, level=level),
            "icc": lambda level: ranef.icc(f.m, level=level),
        }.items()
    },
    "seed of text": (lambda: ranef.check(f.m, seed="x"), "seed x"),
    "seed below zero": (lambda: ranef.rlrt(f.m0, seed=-1), "seed -1"),
    "seed of the bootstrap": (lambda: ranef.bootstrap(f.m, n=10, seed="a"), "seed a"),
    "seed of a comparison": (lambda: ranef.compare(f.m0, f.m, seed=1.5), "seed 1.5"),
    "seed of a simulation": (lambda: f.m.simulate(1, seed="x"), "seed x"),
    # counts
    "no draws": (lambda: ranef.rlrt(f.m0, n=0), "n draws"),
    "no refits": (lambda: ranef.bootstrap(f.m, n=0), "n=0"),
    "refits in words": (lambda: ranef.bootstrap(f.m, n="10"), "n='10'"),
    "workers in words": (lambda: ranef.bootstrap(f.m, n=10, n_jobs="all"), "n_jobs 'all'"),
    "half a simulation": (lambda: f.m.simulate(2.5), "n=2.5"),
    "too many simulations": (lambda: f.m.simulate(10**12), "GB"),
    "simulations in words": (lambda: ranef.quantile_residuals(f.m, n="x"), "n='x'"),
    "no lags": (lambda: ranef.acf(f.m, max_lag=0), "max_lag=0"),
    "lags below zero": (lambda: ranef.acf(f.m, max_lag=-1), "max_lag=-1"),
    "no classes": (lambda: ranef.semivariogram(f.m, "Days", bins=0), "bins=0"),
    "no time": (lambda: ranef.semivariogram(f.m, None), "time"),
    "half a draw": (lambda: ranef.compare(f.m0, f.m, draws=100.5), "draws"),
    # means
    "at as a list": (lambda: ranef.emmeans(f.oats, "nitro", at=[0.2]), "at dict"),
    "at nowhere": (lambda: ranef.emmeans(f.mc, "c", at={"x": []}), "at x"),
    "at no number": (lambda: ranef.emmeans(f.mc, "c", at={"x": np.nan}), "at x nan"),
    "at no level": (lambda: ranef.emmeans(f.oats, "Variety", at={"Variety": []}), "Variety level"),
    "at another level": (lambda: ranef.emmeans(f.oats, "Variety", at={"Variety": ["Victori"]}), "Victori Victory"),
    "weights as a list": (lambda: ranef.emmeans(f.oats, "nitro", weights=[1, 2, 3]), "weights equal"),
    "nesting as text": (lambda: ranef.emmeans(f.oats, "nitro", nesting="x"), "nesting dict"),
    "a near miss": (lambda: ranef.emmeans(f.oats, "variety"), "'Variety'"),
    "means of the grouping factor": (lambda: ranef.emmeans(f.oats, "Block"), "Block nitro"),
    "trends of nothing": (lambda: ranef.emtrends(f.m, None), "var None"),
    "trends of a factor": (lambda: ranef.emtrends(f.oats, "Variety"), "Variety factor"),
    "contrasts of the wrong length": (lambda: ranef.emmeans(f.oats, "nitro").contrast({"a": [1, -1]}), "2 4 nitro0.6"),
    "contrasts with gaps": (lambda: ranef.emmeans(f.oats, "nitro").contrast({"a": [1, -1, np.nan, 0]}), "nan finite"),
    "contrasts in words": (lambda: ranef.emmeans(f.oats, "nitro").contrast({"a": ["x"] * 4}), "'x'"),
    "no contrasts": (lambda: ranef.emmeans(f.oats, "nitro").contrast({}), "contrasts nitro0.6"),
    "contrasts misspelt": (lambda: ranef.emmeans(f.oats, "nitro").contrast("pairwize"), "pairwise"),
    "adjusted by a number": (lambda: ranef.emmeans(f.oats, "nitro").contrast("pairwise", adjust=3), "adjust=3 tukey"),
    # tests
    "value in words": (lambda: f.m.test("Days", value="a"), "value 'a'"),
    "L with wrong names": (lambda: f.m.test({"Day": 1}), "Days"),
    "L of the wrong length": (lambda: f.m.test([1, 2, 3]), "(3,) Days"),
    "L of nothing": (lambda: f.m.test(None), "L"),
    **{
        f"L={L!r} of {name}": ((lambda ask=ask, L=L: ask(L)), f"{words} 2 coefficients: (Intercept), Days.")
        for name, ask in {
            "test": lambda L: f.m.test(L), "a joint test": lambda L: f.m.test(L, joint=True), "ddf_of": lambda L: f.m.ddf_of(L),
            "cohens_d": lambda L: ranef.cohens_d(f.m, L),
        }.items()
        for L, words in (
            ([1, 2, 3], "(3,)"), ([[1], [1, 2]], "[[1], [1, 2]]"), ([], "(0,)"), ([[]], "(1, 0)"), (np.zeros((0, 2)), "(0, 2)"),
            (np.ones((2, 2, 2)), "(2, 2, 2)"), ([[1, 0], [np.nan, 1]], "2 nan (Intercept)"), ([0, 0], "1 zero"), (5, "is 5"),
            ({}, "zero"), ({"a": {}}, "'a' zero"), ({"Days": np.inf}, "Days inf"), ({"Days": None}, "numbers"),
            (pd.DataFrame(), "no rows"), (pd.DataFrame({"Days": []}), "no rows"), ([None, 1], "nan"), (["a", 1], "['a', 1]"),
        )
    },
    "contrasts of zeros": (lambda: ranef.emmeans(f.oats, "nitro").contrast([[1, -1, 0, 0], [0, 0, 0, 0]]), "2 zero nitro0.6"),
    "contrasts of no means": (lambda: ranef.emmeans(f.oats, "nitro").contrast({"a": {}}), "'a' zero nitro0.6"),
    "no rows of contrasts": (lambda: ranef.emmeans(f.oats, "nitro").contrast(np.zeros((0, 4))), "(0, 4) 4 nitro0.6"),
    "contrasts in three dimensions": (lambda: ranef.emmeans(f.oats, "nitro").contrast(np.ones((1, 1, 4))), "(1, 1, 4) nitro0.6"),
    "contrasts of other means": (lambda: ranef.emmeans(f.oats, "nitro").contrast({"a": {"7": 1}}), "'7' order nitro0.6"),
    **{
        f"{type(wrong).__name__} as {name}": ((lambda ask=ask, wrong=wrong: ask(wrong)), f"{name} {type(wrong).__name__}")
        for wrong in (np.zeros(0), np.zeros(3), pl.DataFrame(), pd.DataFrame(), pd.Series([1.0]))
        for name, ask in {
            "method": lambda wrong: f.m.conf_int(method=wrong), "conf_int": lambda wrong: f.m.tidy(conf_int=wrong),
            "cond_var": lambda wrong: f.m.ranef(cond_var=wrong), "kind": lambda wrong: ranef.robust(f.m, kind=wrong),
            "style": lambda wrong: f.m.anova(style=wrong), "re": lambda wrong: f.m.predict(re=wrong),
            "new_levels": lambda wrong: f.m.predict(new_levels=wrong), "interval": lambda wrong: f.m.predict(interval=wrong),
            "by": lambda wrong: ranef.r2(f.m, by=wrong), "stars": lambda wrong: ranef.side_by_side(f.m, stars=wrong),
            "form": lambda wrong: ranef.henderson(f.m, form=wrong), "scale": lambda wrong: ranef.re_pca(f.m, scale=wrong),
            "slopes": lambda wrong: ranef.variance_partition(f.m, slopes=wrong),
        }.items()
    },
    "level of residual parameters": (lambda: f.trial.residual_parameters(None), "level None"),
    "effects as an array": (lambda: f.m.tidy(effects=np.zeros(0)), "effects"),
    "residuals of a list": (lambda: f.m.residuals([]), "kind []"),
    "structures of nothing": (lambda: ranef.compare_structures(f.trial, None), "structures None"),
    "structures as numbers": (lambda: ranef.compare_structures(f.trial, [1, 2]), "structures [1, 2]"),
    "names of side_by_side": (lambda: ranef.side_by_side(f.m, names=3), "names=3"),
    "below as a list": (lambda: ranef.side_by_side(f.m, below=[]), "below []"),
    "title as a number": (lambda: ranef.side_by_side(f.m, title=3), "title 3"),
    "icc at text": (lambda: ranef.icc(f.m, at="x"), "at str"),
    "d without a standard deviation": (lambda: ranef.cohens_d(f.m, "Days", sd=None), "sd None"),
    "d by no standard deviations": (lambda: ranef.cohens_d(f.m, "Days", sd=[]), "sd []"),
    "d by a huge standard deviation": (lambda: ranef.cohens_d(f.m, "Days", sd=1e308), "sd 1e+308"),
    "matrix of a list of groups": (lambda: ranef.marginal_covariance(f.m, []), "grouping []"),
    "matrix over a number": (lambda: ranef.marginal_covariance(f.m, x=3), "3 column"),
    "context of nothing": (lambda: ranef.contextual(f.m, None), "x None"),
    "pooling of a list": (lambda: ranef.pooling(f.m, []), "grouping []"),
    "a precision of letters": (lambda: ranef.precision(""), "precision levels"),
    "a precision of an empty frame": (lambda: ranef.precision(pd.DataFrame()), "precision (0, 0)"),
    "no parameter to profile": (lambda: ranef.profile(f.m, which=[]), "which sd__Days"),
    "a profile of a number": (lambda: ranef.profile(f.m, which=3), "'3' sd__Days"),
    "effects of nothing": (lambda: f.m.tidy(effects=None), "effects None"),
    "theta of the wrong length": (lambda: f.m.deviance_at([1]), "theta 3"),
    "theta in words": (lambda: f.m.deviance_at("abc"), "theta 'abc'"),
    "theta with gaps": (lambda: f.m.deviance_at([np.nan] * 3), "theta 3"),
    "component of nothing": (lambda: ranef.sd_difference(f.m, None, None), "component None"),
    "power of words": (lambda: ranef.power_two_level(effect="a", clusters=10, size=10, icc=0.1), "effect 'a'"),
    "power of several effects": (lambda: ranef.power_two_level(effect=[0.1, 0.2], clusters=10, size=10, icc=0.1), "effect power_curves"),
    "power of no number": (lambda: ranef.power_two_level(effect=np.nan, clusters=10, size=10, icc=0.1), "effect nan"),
    # new responses and new data
    "refit with text": (lambda: f.m.refit(["a"] * 180), "numbers"),
    "refit with huge numbers": (lambda: f.m.refit(np.arange(180) * 1e300), "response e+302"),
    "refit with a frame": (lambda: f.m.refit(base()[["y"]]), "180"),
    "predict one mapping of scalars": (lambda: f.mc.predict({"c": "a", "x": 1.0, "g": "g0"}), "single"),
    "predict in another case": (lambda: f.mc.predict(new.rename(columns={"x": "X"})), "Did you mean 'X'"),
    "predict text": (lambda: f.mc.predict(new.assign(x="1.0")), "x numeric"),
    "predict huge numbers": (lambda: f.mc.predict(new.assign(x=1e308)), "x e+308"),
    "predict a new level": (lambda: f.mc.predict(new.assign(c="A")), "c A"),
    "time that is not there": (lambda: ranef.acf(f.m, time="Day"), "Columns: Reaction, Days, Subject."),
    # files
    "report into no folder": (lambda: ranef.report(f.m, "no/such/folder.html"), "folder 'no/such'"),
    "report of another kind": (lambda: ranef.report(f.m, "r.pdf"), "r.pdf .html"),
    "report without a name": (lambda: ranef.report(f.m, None), "path NoneType"),
    "save without a name": (lambda: f.m.save(None), "path NoneType"),
    "load a number": (lambda: ranef.load(3), "path int"),
    "table into no folder": (lambda: f.m.tidy().to_csv("no/such/t.csv"), "folder 'no/such'"),
    # pictures
    **{
        f"plot {name} of nothing": ((lambda name=name: getattr(P, name)(None)), name)
        for name in P.PUBLIC if name not in ("power", "means", "interaction", "spaghetti", "semivariogram", "trajectories")
    },
    **{
        f"plot {name} in a wrong size": ((lambda name=name: getattr(P, name)(f.m, size="big")), "size 'big'")
        for name in ("caterpillar", "residuals", "qq", "trajectories")
    },
    "plot no panels": (lambda: P.check(f.m, panels=None), "panel None"),
    "plot panels of an array": (lambda: P.check(f.m, panels=np.zeros(0)), "panel array"),
    "plot a list of measures": (lambda: P.influence(f.m, []), "influence []"),
    "plot a single mean": (lambda: P.means(f.oats, ""), "mean factor"),
    "plot fewer than no levels": (lambda: P.pooling(f.m, most=-1), "most=-1"),
    "plot no number of levels": (lambda: P.pooling(f.m, most=None), "most=None"),
    "a column of a list": (lambda: f.m.tidy()[["term"]], "['term'] estimate"),
    "plot into a number": (lambda: P.residuals(f.m, ax=3), "ax int"),
    "plot a bootstrap of a fit": (lambda: P.bootstrap(f.m), "bootstrap Fit"),
    "plot the power of a fit": (lambda: P.power(f.m), "power Fit"),
    "plot a table that is no matrix": (lambda: P.matrix(f.m.tidy()), "matrix"),
    "plot the random effects of a regression": (lambda: P.caterpillar(f.ols), "random"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_one_clear_error(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, words = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    fits()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ranef.RanefError) as caught:
            ask()
    message = str(caught.value)
    assert [word for word in words.split() if word not in message] == [], message
    assert len(message.splitlines()) <= 15
    assert list(tmp_path.iterdir()) == []


def test_there_are_enough_questions() -> None:
    assert len(REFUSED) >= 150


@pytest.mark.parametrize(
    ("ask", "meant"),
    [
        (lambda: ranef.lmm(GOOD, base(), REML=False), "reml"),
        (lambda: ranef.lmm(GOOD, base(), weights="x"), "precision_weights"),
        (lambda: ranef.lm("y ~ x", base(), weight="x"), "precision_weights"),
        (lambda: f.m.update(Reml=False), "reml"),
        (lambda: f.m.conf_int(method="profile", levels=0.9), "level"),
        (lambda: P.qq(f.m, groups="Subject"), "group"),
        (lambda: ranef.lmm(GOOD, base(), family="binomial"), "precision_weights"),
    ],
)
def test_unknown_keywords_say_what_was_meant(ask: Callable[[], Any], meant: str) -> None:
    with pytest.raises(TypeError, match=meant):
        ask()


def test_misspelt_names_of_the_package() -> None:
    with pytest.raises(AttributeError) as caught:
        ranef.lmer  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("lmer", ranef)  # from which Python makes its own suggestion


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ranef.FileError, match="Permission denied"):
        ranef.report(f.m, tmp_path / "r.html")


def test_writing_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "r.html").mkdir()
    with pytest.raises(ranef.FileError, match=r"r\.html"):
        ranef.report(f.m, tmp_path / "r.html")


# what is right, if odd


def test_whole_numbers_beyond_64_bits_are_numbers_and_exact_labels() -> None:
    steps = np.arange(24) % 5
    data = base().assign(x=[10**30 + step * 10**29 for step in steps.tolist()], g=lambda d: [10**30 + int(v[1:]) for v in d["g"]])
    m, expected = ranef.lmm(GOOD, data), ranef.lmm(GOOD, base().assign(x=10.0 + steps))
    assert m.deviance == pytest.approx(expected.deviance - 2 * np.log(1e-29), rel=1e-9)  # the units of x, under REML
    assert m.ngroups == {"g": 6}


def test_rows_that_a_logarithm_loses_are_a_finding() -> None:
    m = ranef.lmm("log(z) ~ x + (1 | g)", base(z=np.where(np.arange(24) % 6 == 0, -1.0, np.arange(24.0) + 1)))
    (found,) = [one for one in m.findings if one.code == "rows_dropped_missing"]
    assert m.nobs == 20
    assert "4 of 24" in found.message and "log(z)" in found.message


def test_rows_of_weight_zero_are_a_finding() -> None:
    m = ranef.lmm(GOOD, base(w=[0.0] + [1.0] * 23), precision_weights="w")
    (found,) = [one for one in m.findings if one.code == "rows_dropped_missing"]
    assert "1 of 24" in found.message and "zero" in found.message


def numeric_groups(m: ranef.Fit) -> list[str]:
    return [one.evidence["group"] for one in m.findings if one.code == "numeric_group"]


def test_measurements_as_groups_are_remarked_on() -> None:
    rng = np.random.default_rng(1)
    n, age = 200, rng.integers(18, 65, 200)
    data = pd.DataFrame({"y": rng.normal(size=n), "x": rng.normal(size=n), "age": age, "weight": np.round(rng.normal(70, 9, n), 1)})
    data = data.assign(dose=rng.choice([0.5, 1.0, 2.5], n), id=np.repeat(np.arange(50.0), 4))
    most = data.assign(most=np.r_[np.arange(150), np.arange(50)])
    assert numeric_groups(ranef.lmm("y ~ x + (1 | weight)", data)) == ["weight"]
    assert numeric_groups(ranef.lmm("y ~ most + (1 | most)", most)) == ["most"]
    assert numeric_groups(ranef.lmm("y ~ x + (1 | dose)", data)) == []  # a few doses
    assert numeric_groups(ranef.lmm("y ~ x + (1 | id)", data)) == []  # identifiers that a join turned into floats
    assert numeric_groups(ranef.lmm("y ~ age + (1 | age)", data)) == []  # lack of fit, with repeated values
    assert numeric_groups(ranef.lmm("y ~ x + (1 | most)", most)) == []  # whole numbers are identifiers unless used as numbers


def test_series_in_another_order_than_the_data() -> None:
    data, order = base(w=np.arange(1.0, 25.0)), np.random.default_rng(3).permutation(24)
    m, weighted = ranef.lmm(GOOD, data), ranef.lmm(GOOD, data, precision_weights="w")
    for ask in (
        lambda: ranef.lmm(GOOD, data, precision_weights=data["w"].iloc[order]),
        lambda: ranef.lmm(GOOD, data, offset=data["w"].iloc[order]),
        lambda: m.refit(data["y"].iloc[order]),
    ):
        with pytest.raises(ranef.DataError, match=r"another order\n.*\.loc\[data\.index\].*to_numpy"):
            ask()
    for given in (data["w"], data["w"].to_numpy(), data["w"].set_axis([f"r{i}" for i in range(24)])):
        assert ranef.lmm(GOOD, data, precision_weights=given).deviance == pytest.approx(weighted.deviance, rel=1e-12)


def test_nothing_is_written_into_the_data() -> None:
    data = base(w=1.0).astype({"c": "category"})
    before, frozen = copy.deepcopy(data), pl.from_pandas(data)
    m = ranef.lmm("y ~ poly(x, 2) + c + (x | g)", data, precision_weights="w", contrasts={"c": "sum"})
    m.predict(data, interval="prediction")
    m.refit(data["y"])
    ranef.emmeans(m, "c").contrast("pairwise")
    ranef.check(m)
    ranef.influence(m)
    pd.testing.assert_frame_equal(data, before)
    assert frozen.equals(pl.from_pandas(data))


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.asarray(a, dtype=float), np.asarray(b, dtype=float), equal_nan=True))


def forms(frame: pd.DataFrame) -> Iterator[Any]:
    """The same rows in other clothes."""
    yield frame.astype({"x": "float32"}).astype({"x": float})
    yield frame.assign(extra=[object()] * len(frame))
    yield frame[frame.columns[::-1]]
    yield frame.astype({"c": pd.CategoricalDtype(["z", "b", "a"]), "g": pd.CategoricalDtype([f"g{i}" for i in range(9, -1, -1)])})
    yield frame.convert_dtypes()
    yield frame.assign(x=[decimal.Decimal(repr(float(v))) for v in frame["x"]])
    yield pl.from_pandas(frame)
    yield frame.to_dict("list")


def test_predictions_do_not_depend_on_how_rows_come() -> None:
    frame = base().round({"x": 2}).assign(x=lambda d: np.round(d["x"] * 4) / 4)[["c", "x", "g"]]
    m = ranef.lmm("y ~ c * x + (1 | g)", base())
    whole = np.asarray(m.predict(frame))
    for form in forms(frame):
        assert np.asarray(m.predict(form)) == pytest.approx(whole, rel=1e-13)
    single = [float(m.predict(frame.iloc[[i]]).iloc[0]) for i in range(len(frame))]
    assert single == pytest.approx(whole, rel=1e-13)
    assert len(m.predict(frame.iloc[:0])) == 0
    assert same(m.predict(frame.assign(x=np.nan)), np.full(24, np.nan))


@pytest.mark.parametrize(
    "ask",
    [lambda: ranef.lmm("y ~ x + ", base()), lambda: ranef.lmm("y ~ xx + (1 | g)", base()), lambda: ranef.report(f.m, "no/r.html")],
)
def test_errors_come_back_from_other_processes(ask: Callable[[], Any]) -> None:
    with pytest.raises(ranef.RanefError) as caught:
        ask()
    error = pickle.loads(pickle.dumps(caught.value))
    assert (type(error), str(error), vars(error)) == (type(caught.value), str(caught.value), vars(caught.value))


@pytest.mark.parametrize("option", ["--report", "--json", "--save"])
def test_the_command_line_refuses_a_place_before_it_fits(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["fit", "sleepstudy", "Reaction ~ Days + (1 | Subject)", option, "no/such/folder.html"])
    out, err = capsys.readouterr()
    assert (code, out) == (7, "")
    assert "no/such" in err
