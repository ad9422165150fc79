"""A fit for the package marginaleffects: predictions, comparisons, slopes and hypotheses of a mixed model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ranef.arguments import checked
from ranef.errors import ModelError
from ranef.fit.rows import needs_rows

if TYPE_CHECKING:
    from ranef.fit.fit import Fit


@checked
def as_marginaleffects(fit: Fit, *, re: Literal["population", "conditional"] = "population", df: float | None = None) -> Any:
    """A model that `marginaleffects.predictions`, `comparisons`, `slopes` and `hypotheses` take.

    Parameters
    ----------
    re
        ``"population"``: the fixed part. ``"conditional"``: with the predicted random effects of known levels, which count as
        known in the standard errors.
    df
        Degrees of freedom of tests and intervals, which marginaleffects uses for all of them alike; without them they are z
        tests. For Satterthwaite's or Kenward and Roger's of each quantity use `ranef.emmeans` and `ranef.emtrends`.

    marginaleffects differentiates by short steps, whose rounding can reach the third digit of the standard error of a slope. The
    predictions are linear in the coefficients, so that ``eps_vcov=1.0`` takes that noise away.

    `vcov=True` is the covariance of the fit, ``vcov="kenward-roger"`` that of another method of degrees of freedom. Raises
    ModelError where marginaleffects is not installed, for a saved model, and for an unknown `re`.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> import marginaleffects
    >>> marginaleffects.avg_slopes(ranef.as_marginaleffects(m), variables="Days").select("term", "estimate", "std_error")
    shape: (1, 2)
    ┌──────────┬───────────┐
    │ Estimate ┆ Std.Error │
    │ ---      ┆ ---       │
    │ str      ┆ str       │
    ╞══════════╪═══════════╡
    │ 10.5     ┆ 1.55      │
    └──────────┴───────────┘
    Term: Days
    """
    needs_rows(fit, "as_marginaleffects()")
    if re not in ("population", "conditional"):
        raise ModelError(f"re={re!r} is not known.", hint='Use "population" or "conditional".')
    try:
        from ranef.ecosystem.marginaleffects_model import RanefModel
    except ImportError as problem:
        raise ModelError(
            f"as_marginaleffects() needs the package marginaleffects ({problem}).", hint="Install it: pip install 'ranef[effects]'."
        ) from problem
    return RanefModel(fit, re, df)
