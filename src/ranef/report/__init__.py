"""Reports of a fit. `ranef.report(m, "report.html")` writes a report: this package is also that function.

A package and a public function share the name `report`; importing any module of the package would put the package in the function's
place, so the package itself can be called.

Examples
--------
>>> import ranef
>>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
>>> ranef.report(m, "sleepstudy.html", data="sleepstudy").name
'sleepstudy.html'
"""

from __future__ import annotations

import sys
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


class _Report(ModuleType):
    def __call__(self, fit: Fit, path: str | PathLike[str], *, title: str | None = None, data: str | None = None) -> Path:
        """Write a report about `fit` to `path`; see `ranef.report.write.report`."""
        from ranef.report.write import report

        return report(fit, path, title=title, data=data)


sys.modules[__name__].__class__ = _Report
