"""Mixed-effects models: the global optimum, tests that hold in small samples, and speed.

>>> import ranef
>>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
>>> print(m.summary())  # doctest: +SKIP

The names below are imported when they are first used, so that `import ranef` costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that defines it; a name that is its own module is the module itself.
PUBLIC = {
    "lmm": "ranef.api",
    "lm": "ranef.api",
    "describe": "ranef.api",
    "mmrm": "ranef.trials",
    "compare_structures": "ranef.trials",
    "meta": "ranef.meta_analysis",
    "compare": "ranef.inference.compare",
    "variance_change": "ranef.inference.compare",
    "ranova": "ranef.inference.ranova",
    "emmeans": "ranef.means.emmeans",
    "emtrends": "ranef.means.trends",
    "henderson": "ranef.fit.henderson",
    "load": "ranef.fit.persist",
    "report": "ranef.report",
    "side_by_side": "ranef.report.side_by_side",
    "icc": "ranef.inference.icc",
    "r2": "ranef.inference.r2",
    "variance_partition": "ranef.inference.variance",
    "f2": "ranef.inference.f2",
    "variance_reduction": "ranef.inference.variance_reduction",
    "sd_difference": "ranef.inference.variance_reduction",
    "cohens_d": "ranef.inference.effect_size",
    "standardised": "ranef.inference.effect_size",
    "reliability": "ranef.inference.reliability",
    "design_effect": "ranef.inference.design_effect",
    "power_two_level": "ranef.inference.power",
    "power_curves": "ranef.inference.views.power",
    "acf": "ranef.inference.views.serial",
    "semivariogram": "ranef.inference.views.serial",
    "marginal_covariance": "ranef.inference.views.marginal",
    "contextual": "ranef.inference.contextual",
    "pooling": "ranef.inference.pooling",
    "pedigree": "ranef.covariance.pedigree",
    "precision": "ranef.covariance.labelled",
    "low_rank": "ranef.covariance.labelled",
    "hausman": "ranef.inference.pooling",
    "heterogeneity": "ranef.inference.meta",
    "profile": "ranef.inference.profile",
    "bootstrap": "ranef.inference.bootstrap",
    "influence": "ranef.inference.influence",
    "check": "ranef.inference.diagnostics",
    "quantile_residuals": "ranef.inference.diagnostics",
    "re_pca": "ranef.inference.diagnostics",
    "rlrt": "ranef.inference.rlrt",
    "rm_anova": "ranef.inference.rm_anova",
    "robust": "ranef.inference.robust",
    "MixedRegressor": "ranef.ecosystem.sklearn",
    "as_marginaleffects": "ranef.ecosystem.marginaleffects",
    "datasets": "ranef.datasets",
    "plot": "ranef.plot",
    "Table": "ranef.table",
    "RanefError": "ranef.errors",
    "FormulaError": "ranef.errors",
    "DataError": "ranef.errors",
    "ModelError": "ranef.errors",
    "MemoryEstimateError": "ranef.errors",
    "SavedModelError": "ranef.errors",
    "FileError": "ranef.errors",
    "Finding": "ranef.errors",
}

__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        import sys

        raise AttributeError(f"module 'ranef' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    module = import_module(PUBLIC[name])
    value = module if module.__name__ == f"ranef.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})


if TYPE_CHECKING:  # what type checkers see; kept equal to PUBLIC by a test
    from ranef import datasets as datasets
    from ranef import plot as plot
    from ranef.api import describe as describe
    from ranef.api import lm as lm
    from ranef.api import lmm as lmm
    from ranef.covariance.labelled import low_rank as low_rank
    from ranef.covariance.labelled import precision as precision
    from ranef.covariance.pedigree import pedigree as pedigree
    from ranef.ecosystem.marginaleffects import as_marginaleffects as as_marginaleffects
    from ranef.ecosystem.sklearn import MixedRegressor as MixedRegressor
    from ranef.errors import DataError as DataError
    from ranef.errors import FileError as FileError
    from ranef.errors import Finding as Finding
    from ranef.errors import FormulaError as FormulaError
    from ranef.errors import MemoryEstimateError as MemoryEstimateError
    from ranef.errors import ModelError as ModelError
    from ranef.errors import RanefError as RanefError
    from ranef.errors import SavedModelError as SavedModelError
    from ranef.fit.henderson import henderson as henderson
    from ranef.fit.persist import load as load
    from ranef.inference.bootstrap import bootstrap as bootstrap
    from ranef.inference.compare import compare as compare
    from ranef.inference.compare import variance_change as variance_change
    from ranef.inference.contextual import contextual as contextual
    from ranef.inference.design_effect import design_effect as design_effect
    from ranef.inference.diagnostics import check as check
    from ranef.inference.diagnostics import quantile_residuals as quantile_residuals
    from ranef.inference.diagnostics import re_pca as re_pca
    from ranef.inference.effect_size import cohens_d as cohens_d
    from ranef.inference.effect_size import standardised as standardised
    from ranef.inference.f2 import f2 as f2
    from ranef.inference.icc import icc as icc
    from ranef.inference.influence import influence as influence
    from ranef.inference.meta import heterogeneity as heterogeneity
    from ranef.inference.pooling import hausman as hausman
    from ranef.inference.pooling import pooling as pooling
    from ranef.inference.power import power_two_level as power_two_level
    from ranef.inference.profile import profile as profile
    from ranef.inference.r2 import r2 as r2
    from ranef.inference.ranova import ranova as ranova
    from ranef.inference.reliability import reliability as reliability
    from ranef.inference.rlrt import rlrt as rlrt
    from ranef.inference.rm_anova import rm_anova as rm_anova
    from ranef.inference.robust import robust as robust
    from ranef.inference.variance import variance_partition as variance_partition
    from ranef.inference.variance_reduction import sd_difference as sd_difference
    from ranef.inference.variance_reduction import variance_reduction as variance_reduction
    from ranef.inference.views.marginal import marginal_covariance as marginal_covariance
    from ranef.inference.views.power import power_curves as power_curves
    from ranef.inference.views.serial import acf as acf
    from ranef.inference.views.serial import semivariogram as semivariogram
    from ranef.means.emmeans import emmeans as emmeans
    from ranef.means.trends import emtrends as emtrends
    from ranef.meta_analysis import meta as meta
    from ranef.report.side_by_side import side_by_side as side_by_side
    from ranef.report.write import report as report
    from ranef.table import Table as Table
    from ranef.trials import compare_structures as compare_structures
    from ranef.trials import mmrm as mmrm
