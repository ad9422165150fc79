"""The answer of `check`: one line an assumption, and the numbers of every picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from ranef.errors import Finding, Severity
from ranef.table import Table

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

Verdict = Literal["fine", "look", "concern", "not tested"]
SEVERITY: dict[Verdict, Severity] = {"look": "warning", "concern": "serious"}
ALPHA = 0.05
STRONG = 0.01
WIDTH = 80


@dataclass(frozen=True)
class Assessment:
    """One check of one assumption: the number, what it says in words, and what to do where it is not fine."""

    code: str  # of its finding
    assumption: str
    check: str
    statistic: float | None
    p_value: float | None
    verdict: Verdict
    evidence: str
    remedy: str = ""
    panel: str = ""  # the picture that shows it

    @property
    def finding(self) -> Finding | None:
        """None where all is fine or nothing was tested."""
        if self.verdict not in SEVERITY:
            return None
        numbers = {"check": self.check, "statistic": self.statistic, "p_value": self.p_value}
        message = f"{self.assumption}, {self.check}: {self.evidence}"
        return Finding(f"check_{self.code}", SEVERITY[self.verdict], message, self.remedy, numbers)


def judge(p: float | None, effect: float, *, small: float, large: float) -> Verdict:
    """A test alone is not a verdict: an effect below `small` is fine whatever p is, for with many rows every p is tiny.

    fine      p of 5 % or more, or a small effect
    concern   p below 1 % and an effect of `large` or more
    look      what is between
    """
    if not effect >= small or (p is not None and not p < ALPHA):
        return "fine"
    return "concern" if effect >= large and (p is None or p < STRONG) else "look"


def untested(code: str, assumption: str, check: str, why: str) -> Assessment:
    return Assessment(code, assumption, check, None, None, "not tested", why[0].lower() + why[1:])


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """All checks of a fit. Prints as a table of verdicts; `ranef.plot.check` draws the panels.

    `panels` maps names to Tables of the numbers to draw; a name after a colon is that of a predictor, factor or random effect.
    Which panels there are depends on the model. Rows are those used, without the few that determine their own fitted value.

        linearity              fitted residual                       the residuals, conditional on the random effects
        linearity:PREDICTOR    x residual
        scale                  fitted sqrt_abs_residual              root of the absolute standardised residual
        *_trend                x trend lower upper                   of the three above: local lines with pointwise 95 % bands
        spread:FACTOR          level rows sd                         of the standardised residuals; one is what the model expects
        qq_residuals           theoretical sample lower upper        bands hold all points at once in 95 % of data from the model
        qq_ranef:GROUP:TERM    theoretical sample lower upper level
        acf                    lag acf lower upper pairs             bands likewise
        outliers               row studentised p_value               the most extreme rows; p after Bonferroni
        influence              level cooks_distance threshold        of the factor with fewest levels, or rows
        influence:GROUP        level cooks_distance threshold        of each other grouping factor
        collinearity           term gvif df inflation                inflation: gvif^(1/(2 df)), of a standard error
        re_pca                 group component sd share cumulative
        quantile               predicted_rank scaled_residual        simulated quantile residuals, new random effects
        quantile_trend         x q25 q50 q75                         their quartiles along the rank of the prediction
        quantile_conditional   predicted_rank scaled_residual        the same given the random effects
        qq_uniform             expected observed lower upper         of the scaled residuals
        dispersion             simulated                             variance of the residuals of each simulation over the observed
    """

    fit: Fit
    assessments: tuple[Assessment, ...]
    panels: Mapping[str, Table]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> Table:
        """assumption check statistic p_value verdict evidence remedy"""
        return self._table(("assumption", "check", "statistic", "p_value", "verdict", "evidence", "remedy"))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is not fine, and what the fit itself had to say."""
        own = tuple(finding for one in self.assessments if (finding := one.finding) is not None)
        return (*self.fit.findings, *own)

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        found = {one.verdict for one in self.assessments}
        return next((word for word in ("concern", "look", "fine") if word in found), "not tested")

    def _table(self, names: tuple[str, ...], notes: tuple[str, ...] = ()) -> Table:
        columns = {name: [getattr(one, name) for one in self.assessments] for name in names}
        return Table(columns, title="Checks of the model", notes=notes, frame_kind=self.fit.model.rows.frame)

    def __repr__(self) -> str:
        short = self._table(("assumption", "check", "statistic", "p_value", "verdict"))
        wrapped = [textwrap.fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ") for line in self._advice()]
        notes = [textwrap.fill(note, WIDTH) for note in self.notes]
        return "\n".join([short.to_text(WIDTH), *(["", *wrapped] if wrapped else []), "", *notes])

    def _repr_html_(self) -> str:
        advice = "".join(f"<li>{escape(line)}</li>" for line in self._advice())
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        short = self._table(("assumption", "check", "statistic", "p_value", "verdict", "evidence"))
        return short.to_html() + f'<div class="ranef">{f"<ul>{advice}</ul>" if advice else ""}{notes}</div>'

    def _advice(self) -> list[str]:
        """What is not fine, by assumption, and what to do."""
        flagged = [one for one in self.assessments if one.verdict in SEVERITY]
        out = []
        for assumption in dict.fromkeys(one.assumption for one in flagged):
            own = [one for one in flagged if one.assumption == assumption]
            found = " ".join(f"{one.check}: {one.evidence}" for one in own)
            out.append(f"{assumption}. {found} What to do: {' '.join(dict.fromkeys(one.remedy for one in own))}".rstrip())
        return out
