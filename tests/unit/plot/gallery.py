"""Every kind of picture, on the fits where it may go wrong: name -> a call that takes ax= or size=."""

from __future__ import annotations

from tests.unit.plot.conftest import model

import ranef

plot, load = ranef.plot, ranef.datasets.load
ML = {"optimizer": "em"}

PICTURES = {
    "residuals": lambda **k: plot.residuals(model("sleepstudy"), **k),
    "residuals of a predictor": lambda **k: plot.residuals(model("sleepstudy"), "Days", **k),
    "residuals by group": lambda **k: plot.residuals(model("regression"), "Subject", **k),
    "residuals of many": lambda **k: plot.residuals(model("ratings"), **k),
    "residuals of many groups": lambda **k: plot.residuals(model("ratings"), "s", kind="pearson", **k),
    "scale_location": lambda **k: plot.scale_location(model("sleepstudy"), **k),
    "qq": lambda **k: plot.qq(model("sleepstudy"), **k),
    "qq of many": lambda **k: plot.qq(model("ratings"), kind="pearson", **k),
    "qq of effects": lambda **k: plot.qq(model("sleepstudy"), "Subject", "Days", **k),
    "qq of nothing": lambda **k: plot.qq(model("singular"), "Batch", **k),
    "caterpillar": lambda **k: plot.caterpillar(model("sleepstudy"), "Subject", "Days", **k),
    "caterpillar of 45": lambda **k: plot.caterpillar(model("cake"), **k),
    "caterpillar of many": lambda **k: plot.caterpillar(model("ratings"), "s", **k),
    "caterpillar singular": lambda **k: plot.caterpillar(model("singular"), **k),
    "shrinkage": lambda **k: plot.shrinkage(model("sleepstudy"), **k),
    "shrinkage of one": lambda **k: plot.shrinkage(model("intercepts"), **k),
    "shrinkage of many": lambda **k: plot.shrinkage(model("ratings"), "d", **k),
    "shrinkage singular": lambda **k: plot.shrinkage(model("singular"), **k),
    "trajectories": lambda **k: plot.trajectories(model("sleepstudy"), **k),
    "trajectories by": lambda **k: plot.trajectories(model("growth"), by="Sex", **k),
    "trajectories over a factor": lambda **k: plot.trajectories(model("machines"), **k),
    "trajectories of many": lambda **k: plot.trajectories(model("ratings"), group="s", **k),
    "effects": lambda **k: plot.effects(model("oats_numeric"), **k),
    "effects of several": lambda **k: plot.effects({"slopes": model("sleepstudy"), "intercepts": model("intercepts")}, **k),
    "means": lambda **k: plot.means(model("machines"), "Machine", **k),
    "means of two": lambda **k: plot.means(model("cake"), ["temperature", "recipe"], **k),
    "means of many rows": lambda **k: plot.means(model("ratings"), "service", **k),
    "interaction": lambda **k: plot.interaction(model("oats"), "nitroF", "Variety", **k),
    "interaction of numbers": lambda **k: plot.interaction(model("oats_numeric"), "nitro", "Variety", data=True, **k),
    "variance": lambda **k: plot.variance(model("schools"), **k),
    "variance singular": lambda **k: plot.variance(model("singular"), **k),
    "matrix": lambda **k: plot.matrix(ranef.marginal_covariance(model("sleepstudy"), correlation=True), **k),
    "matrix of a frame": lambda **k: plot.matrix(model("growth").cov_params(), **k),
    "covariance": lambda **k: plot.covariance(model("sleepstudy"), **k),
    "influence": lambda **k: plot.influence(model("sleepstudy"), **k),
    "influence of rows": lambda **k: plot.influence(model("sleepstudy"), by="row", method="fixed", **k),
    "leverage": lambda **k: plot.influence(model("sleepstudy"), "leverage", method="fixed", **k),
    "optimizer": lambda **k: plot.optimizer({"newton": model("sleepstudy"), "em": model("sleepstudy").update(**ML)}, **k),
    "optimizer hills": lambda **k: plot.optimizer(model("sleepstudy"), hills=True, **k),
    "random_effects": lambda **k: plot.random_effects(model("sleepstudy"), **k),
    "random_effects of one": lambda **k: plot.random_effects(model("schools"), "school:class", **k),
    "random_effects singular": lambda **k: plot.random_effects(model("singular"), **k),
    "spaghetti": lambda **k: plot.spaghetti(load("sleepstudy", as_="polars"), "Reaction", "Days", "Subject", **k),
    "spaghetti by": lambda **k: plot.spaghetti(model("growth"), by="Sex", **k),
    "acf": lambda **k: plot.acf(model("sleepstudy"), time="Days", **k),
    "semivariogram": lambda **k: plot.semivariogram(model("sleepstudy"), "Days", **k),
    "bands": lambda **k: plot.bands(ranef.lm("Reaction ~ 1", load("sleepstudy")), **k),
    "bands of a line": lambda **k: plot.bands(model("regression"), "Days", residuals=True, **k),
    "bands of groups": lambda **k: plot.bands(ranef.lm("distance ~ age * Sex", load("Orthodont")), "age", "Sex", **k),
}  # fmt: skip
PANELS = {
    "caterpillars": lambda **k: plot.caterpillar(model("sleepstudy"), **k),
    "caterpillars of many": lambda **k: plot.caterpillar(model("ratings"), **k),
    "shrinkage of three": lambda **k: plot.shrinkage(model("machines"), **k),
    "means by": lambda **k: plot.means(model("oats"), "nitroF", by="Variety", **k),
    "profile": lambda **k: plot.profile(model("sleepstudy"), **k),
    "profile density": lambda **k: plot.profile(model("sleepstudy"), "density", **k),
    "profile singular": lambda **k: plot.profile(model("singular"), **k),
    "bootstrap": lambda **k: plot.bootstrap(ranef.bootstrap(model("sleepstudy"), 100, seed=1, progress=False), **k),
    "bootstrap singular": lambda **k: plot.bootstrap(ranef.bootstrap(model("singular"), 100, seed=1, progress=False), **k),
    "dfbetas": lambda **k: plot.influence(model("sleepstudy"), "dfbetas", **k),
    "random effects of three": lambda **k: plot.random_effects(model("machines"), **k),
    "pooling": lambda **k: plot.pooling(model("sleepstudy"), **k),
    "pooling of intercepts": lambda **k: plot.pooling(model("dyestuff"), **k),
    "check": lambda **k: plot.check(model("sleepstudy"), n=50, **k),
    "check all": lambda **k: plot.check(model("oats_numeric"), "all", n=50, **k),
    "check singular": lambda **k: plot.check(model("singular"), "all", n=50, **k),
    "assumptions": lambda **k: plot.assumptions(model("sleepstudy"), **k),
    "assumptions of a regression": lambda **k: plot.assumptions(model("regression"), **k),
}  # fmt: skip
POWER = {"effect": 0.5, "clusters": range(4, 61, 4), "size": [5, 20], "icc": 0.1}
