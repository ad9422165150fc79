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

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
        >>> ranef.emmeans(m, "nitroF").contrast({"0.6 - mean of 0.2, 0.4": {"0.6": 1, "0.2": -0.5, "0.4": -0.5}})
        Contrasts of nitroF
        Contrast                Estimate     SE    df     t       p
        -----------------------------------------------------------
        0.6 - mean of 0.2, 0.4    16.833  3.681  51.0  4.57  <0.001
        Averaged over: Variety (equal weights).
        Satterthwaite's degrees of freedom.
        """
        return marginal(contrasted(self.functions, Request(method, by, adjust, ref, interaction, simple)))

    def test(self, null: float = 0.0, *, margin: float | None = None, side: str | None = None, adjust: str | None = None) -> Table:
        """t tests against `null`, with a `margin` tests of equivalence, non-inferiority or non-superiority.

        side: "two-sided", "greater", "less"; with a margin d "equivalence" (`|x - null| < d`, the default), "noninferiority"
        (`x > null - d`) or "nonsuperiority" (`x < null + d`). `null` and `margin` are on the scale of the model, for ratios their
        logarithm.

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
        >>> ranef.emmeans(m, "nitroF").contrast("consec").test(margin=20, side="noninferiority")
        Consecutive differences of nitroF
        Contrast               Estimate     SE    df     t       p
        ----------------------------------------------------------
        nitroF0.2 - nitroF0      19.500  4.250  51.0  9.29  <0.001
        nitroF0.4 - nitroF0.2    15.333  4.250  51.0  8.31  <0.001
        nitroF0.6 - nitroF0.4     9.167  4.250  51.0  6.86  <0.001
        Averaged over: Variety (equal weights).
        Satterthwaite's degrees of freedom.
        Non-inferiority test: p is small where the value is above -20.
        Adjusted for multiple comparisons: multivariate t, 3 tests, error below 1e-5.
        """
        return tests(self.functions, null=null, margin=margin, side=side, adjust=adjust)

    def confint(self, level: float = 0.95, *, adjust: str | None = None, side: str = "two-sided") -> Table:
        """Intervals; simultaneous ones where the family is adjusted (contrasts are unless adjust="none").

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
        >>> ranef.emmeans(m, "Variety").contrast("pairwise").confint(0.90)
        Pairwise differences of Variety
        Contrast                  Estimate     SE    df    Lower   Upper
        ----------------------------------------------------------------
        Golden Rain - Marvellous    -5.292  7.079  10.0  -21.661  11.078
        Golden Rain - Victory        6.875  7.079  10.0   -9.495  23.245
        Marvellous - Victory        12.167  7.079  10.0   -4.203  28.536
        Averaged over: nitroF (equal weights).
        Satterthwaite's degrees of freedom.
        Intervals hold with probability 0.9.
        Adjusted for multiple comparisons: Tukey, family of 3 means.
        """
        return intervals(self.functions, level=level, adjust=adjust, side=side)

    def joint_tests(self) -> Table:
        """F tests: of the main effects and interactions of the factors of means, or that all contrasts of a family are zero.

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
        >>> ranef.emmeans(m, ["nitroF", "Variety"]).joint_tests()
        Joint tests of marginal means of nitroF and Variety
        Effect   Num. df  Den. df      F       p
        ----------------------------------------
        nitroF         3     51.0  41.05  <0.001
        Variety        2     10.0   1.49   0.272
        F tests; Satterthwaite's degrees of freedom.
        """
        from ranef.means.joint import joint_tests_of

        return joint_tests_of(self.functions)

    def cld(self, alpha: float = 0.05, *, adjust: str = "tukey", descending: bool = False) -> Table:
        """Compact letter display: means that share a letter do not differ at level `alpha`.

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("yield ~ nitroF + Variety + (1 | Block / Variety)", ranef.datasets.load("Oats"))
        >>> ranef.emmeans(m, "nitroF").cld()
        Marginal means of nitroF
        nitroF     Mean     SE    df    Lower    Upper  Letters
        -------------------------------------------------------
        0        79.389  7.132  6.64   62.335   96.442  a
        0.2      98.889  7.132  6.64   81.835  115.942   b
        0.4     114.222  7.132  6.64   97.169  131.276    c
        0.6     123.389  7.132  6.64  106.335  140.442    c
        Averaged over: Variety (equal weights).
        Satterthwaite's degrees of freedom.
        Means that share a letter do not differ at level 0.05; that is no proof that
        they are equal.
        Intervals hold with probability 0.95.
        Adjusted for multiple comparisons: Tukey, family of 4 means.
        """
        from ranef.means.letters import letter_display

        return letter_display(self.functions, alpha=alpha, adjust=adjust, descending=descending)

    def response(self, *, bias_adjust: bool | float = False) -> Marginal:
        """The same, back-transformed: means on the scale of the response, contrasts of logarithms as ratios.

        bias_adjust: True for the mean of the response where the model has normal errors on its scale, rather than the median; a
        number is the standard deviation to use instead of that of one observation about its marginal mean. Raises ModelError for
        a response that is not transformed.

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("log(Reaction) ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"))
        >>> ranef.emmeans(m, "Days", at={"Days": [0, 9]}).response()
        Marginal means of Days
        Days  Response      SE    df    Lower    Upper
        ----------------------------------------------
           0   252.160   8.336  21.8  235.442  270.065
           9   341.408  11.287  21.8  318.773  365.650
        Satterthwaite's degrees of freedom.
        Back-transformed from the log scale, intervals too.
        Intervals hold with probability 0.95.
        """
        return marginal(on_response(self.functions, bias_adjust))

    def link(self) -> Marginal:
        """The same on the scale of the model.

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("log(Reaction) ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"))
        >>> ranef.emmeans(m, "Days", at={"Days": [0, 9]}, type="response").link()
        Marginal means of Days
        Days     Mean       SE    df    Lower    Upper
        ----------------------------------------------
           0  5.53006  0.03306  21.8  5.46147  5.59866
           9  5.83308  0.03306  21.8  5.76448  5.90168
        Satterthwaite's degrees of freedom.
        On the log scale of the model; response() transforms back.
        Intervals hold with probability 0.95.
        """
        return marginal(replace(self.functions, scale=Scale()))

    def regrid(self, *, bias_adjust: bool | float = False) -> Marginal:
        """Back-transformed for good: contrasts are differences of back-transformed means, their errors by the delta method.

        Examples
        --------
        >>> import ranef
        >>> m = ranef.lmm("log(Reaction) ~ Days + (1 | Subject)", ranef.datasets.load("sleepstudy"))
        >>> ranef.emmeans(m, "Days", at={"Days": [0, 9]}).regrid().contrast("revpairwise")
        Pairwise differences of Days
        Contrast       Estimate     SE     df      t       p
        ----------------------------------------------------
        Days9 - Days0    89.247  7.281  173.1  12.26  <0.001
        Back-transformed from the log scale by the delta method.
        Satterthwaite's degrees of freedom.
        """
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
