"""The table of marginal means, slopes or contrasts, and the questions that can be asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ranef.errors import ModelError
from ranef.means.contrasting import KEEP, Request, contrasted
from ranef.means.functions import Functions, Scale
from ranef.means.tables import Columns, intervals, labels, notes, tests
from ranef.table import Table


@dataclass(frozen=True, eq=False, repr=False)
class Marginal(Table):
    """Estimates of linear functions of the coefficients. It is a Table, and it answers further questions about its rows."""

    functions: Functions = field(kw_only=True)

    def contrast(
        self, method: Any = "pairwise", *, by: Any = KEEP, adjust: str | None = None, ref: Any = None, interaction: Any = None,
        simple: str | Sequence[str] | None = None,
    ) -> Marginal:  # fmt: skip
        """Contrasts of the rows, within each family.

        Parameters
        ----------
        method
            ``"pairwise" "revpairwise" "trt.vs.ctrl" "trt.vs.ctrlk" "consec" "poly" "eff" "del.eff" "helmert" "mean_chg"
            "identity"``, a dict from names to coefficients (``{"T9": 1, "T3": -.5, "T6": -.5}`` is one contrast), or a matrix, a
            row a contrast.
        by
            The factors that divide the rows into families; None for one family. They stay as they are unless given.
        adjust
            Correction of the p-values in each family; see `ranef.means.adjust`. The usual one of the method unless given.
        ref
            The reference of ``"trt.vs.ctrl"``: "first", "last" or a level.
        interaction
            True, a method or one for each factor: products of the contrasts of all factors.
        simple
            Factors to compare within each combination of all others.
        """
        return marginal(contrasted(self.functions, Request(method, by, adjust, ref, interaction, simple)))

    def test(self, null: float = 0.0, *, margin: float | None = None, side: str | None = None, adjust: str | None = None) -> Table:
        """t tests against `null`, with a `margin` tests of equivalence, non-inferiority or non-superiority.

        side: "two-sided", "greater", "less"; with a margin d "equivalence" (|x - null| < d, the default), "noninferiority"
        (x > null - d) or "nonsuperiority" (x < null + d). `null` and `margin` are on the scale of the model, for ratios their
        logarithm.
        """
        return tests(self.functions, null=null, margin=margin, side=side, adjust=adjust)

    def confint(self, level: float = 0.95, *, adjust: str | None = None, side: str = "two-sided") -> Table:
        """Intervals; simultaneous ones where the family is adjusted (contrasts are unless adjust="none")."""
        return intervals(self.functions, level=level, adjust=adjust, side=side)

    def joint_tests(self) -> Table:
        """F tests: of the main effects and interactions of the factors of means, or that all contrasts of a family are zero."""
        from ranef.means.joint import joint_tests_of

        return joint_tests_of(self.functions)

    def cld(self, alpha: float = 0.05, *, adjust: str = "tukey", descending: bool = False) -> Table:
        """Compact letter display: means that share a letter do not differ at level `alpha`."""
        from ranef.means.letters import letter_display

        return letter_display(self.functions, alpha=alpha, adjust=adjust, descending=descending)

    def response(self, *, bias_adjust: bool | float = False) -> Marginal:
        """The same, back-transformed: means on the scale of the response, contrasts of logarithms as ratios.

        bias_adjust: True for the mean of the response where the model has normal errors on its scale, rather than the median; a
        number is the standard deviation to use instead of that of one observation about its marginal mean. Raises ModelError for
        a response that is not transformed.
        """
        return marginal(on_response(self.functions, bias_adjust))

    def link(self) -> Marginal:
        """The same on the scale of the model."""
        return marginal(replace(self.functions, scale=Scale()))

    def regrid(self, *, bias_adjust: bool | float = False) -> Marginal:
        """Back-transformed for good: contrasts are differences of back-transformed means, their errors by the delta method."""
        f = on_response(self.functions, bias_adjust)
        L = f.scale.slope(f.eta)[:, None] * f.L
        offset = f.shown - np.nan_to_num(L) @ f.estimates.coef
        about = (*f.about, f"Back-transformed from the {f.scale.link.name if f.scale.link else ''} scale by the delta method.")
        return marginal(replace(f, L=L, offset=offset, scale=Scale(), link=None, about=about))

    @property
    def linfct(self) -> Any:
        """(m, p) the rows L with estimate = L beta (+ offset)."""
        return self.functions.L


def marginal(functions: Functions, level: float = 0.95) -> Marginal:
    """The table: means and slopes with intervals, contrasts with tests."""
    columns = labels(functions)
    found = Columns(functions, level=level)
    if functions.kind == "contrast":
        made = {**columns, **found.estimates(), **found.tests()}
    else:
        made = {**columns, **found.estimates(), **found.limits("none")}
    return Marginal(
        made,
        title=functions.what,
        notes=notes(functions),
        frame_kind=functions.estimates.frame_kind,
        level=None if functions.kind == "contrast" else level,
        adjustment=found.adjustment,
        headings=found.headings,
        functions=functions,
    )


def on_response(functions: Functions, bias_adjust: bool | float) -> Functions:
    """The functions on the scale of the response. Raises ModelError where there is no other scale."""
    link = functions.link
    if link is None:
        why = "contrasts have no back-transformation" if functions.kind == "contrast" else "its scale is that of the response"
        raise ModelError(
            f"These estimates cannot be back-transformed: {why}.",
            hint="The response must be transformed in the formula, as in log(y) ~ x.",
        )
    if functions.kind == "slope":
        raise ModelError("Slopes cannot be back-transformed.", hint="Ask emmeans(..., at={...}) for means at several values.")
    if functions.kind == "contrast":
        if not link.ratios:
            raise ModelError(f"Differences on the {link.name} scale have no back-transformation.", hint="regrid() the means first.")
        labels = {n: v if n in functions.by else [str(x).replace(" - ", " / ") for x in v] for n, v in functions.labels.items()}
        return replace(functions, scale=Scale(link, ratio=True), labels=labels)
    sd = functions.estimates.sd if bias_adjust is True else float(bias_adjust)
    return replace(functions, scale=Scale(link, sd=sd))
