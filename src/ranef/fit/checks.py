"""What is refused before a fit, and what is worth knowing after it."""

from __future__ import annotations

import math

import numpy as np

from ranef.core.gram import Gram
from ranef.core.pieces import Gls
from ranef.core.strata import PERFECT
from ranef.covariance import Scaled
from ranef.covariance.base import Array
from ranef.covariance.held import Held
from ranef.design import Design, Grouping, RandomTerm
from ranef.errors import Finding, ModelError
from ranef.fit.identification import refuse_exact_visits, visit_findings
from ranef.optim.problem import Optimum
from ranef.schema import Rows
from ranef.schema.values import all_finite

FEW_LEVELS = 5
MANY_FRACTIONS = 12  # more values with fractions than a design has doses
OF_DATA = ("rows_dropped_missing", "rank_deficient_columns_dropped", "few_levels", "numeric_group")  # the codes of `data_findings`
FLAT = 1e-6  # a scaled curvature below this is none
FREE = ("cs", "toep", "cor")  # structures to which independent residuals add nothing new
CLEAR = 1e-6  # share of the sum of squares that is far from rounding


def refuse_unidentified(design: Design) -> None:
    """Raises ModelError where the variances cannot be told apart whatever the response is (lme4's checks).

    Beside known sampling variances a random effect may have as many levels as there are rows.
    """
    refuse_exact_visits(design)
    n = design.nobs
    for term in design.terms:
        m, k, name = term.group.size, term.width, term.group.name
        if borrows(term):
            continue
        if m < 2:
            raise ModelError(
                f"The grouping factor {name!r} has one level only, so the variance between its levels cannot be estimated.",
                hint=f"Leave the term {term.label} out, or use a factor with at least two levels in the rows used.",
            )
        if design.sigma is not None:
            continue
        if m >= n:
            raise ModelError(
                f"The grouping factor {name!r} has {m} levels and there are {n} rows: "
                "its effects cannot be told from the residuals.",
                hint="Each level of a grouping factor needs more than one row somewhere; is it a row identifier?",
            )
        if m * k >= n:
            raise ModelError(
                f"The term {term.label} asks for {m * k} random effects ({k} for each of {m} levels of {name!r}) from {n} rows.",
                hint="The variances and the residual variance are not identified; use fewer random slopes.",
            )


def borrows(term: RandomTerm) -> bool:
    """Is the variance of its effects told from that of the residuals by how they are related, even with an effect for each row?

    It is where correlations fall with distance or follow from few parameters; a covariance that is free at each lag would take the
    residual variance into itself.
    """
    covariance = term.covariance.inner if isinstance(term.covariance, Held) else term.covariance
    if term.levels is not None:
        return True
    return covariance.rank < covariance.k or (isinstance(covariance, Scaled) and covariance.correlation.about.word not in FREE)


def refuse_em(design: Design) -> None:
    """Raises ModelError where the M step of the EM algorithm has no closed form."""
    for term in design.terms:
        if term.covariance.size and term.covariance.word not in ("un", "diag", "id", "known"):
            raise ModelError(f'optimizer="em" has no closed M step for {term.label}.', hint='Use optimizer="newton", the default.')


def refuse_degenerate(gram: Gram) -> None:
    """Raises ModelError for a constant response, a perfect fit, or no degrees of freedom left.

    Only the last asks too much of a fit with known sampling variances, and only where variances are to be estimated.
    """
    design, n, r = gram.standard.design, gram.nobs, gram.rank
    known = design.sigma is not None
    if known and not design.terms:
        return
    if n - r < 1:
        raise ModelError(
            f"{r} coefficients are to be estimated from {n} rows: no degrees of freedom are left for the "
            + ("variances." if known else "residual variance."),
            hint=_numbers_as_text(design) or "Use a smaller fixed part.",
        )
    if known:
        return
    y = design.y if design.offset is None else design.y - design.offset
    low, high = float(y.min()), float(y.max())
    if high - low <= 1e-15 * max(high, -low):
        raise ModelError(
            f"The response {design.response!r} is constant ({y[0]:g} in all {n} rows): there is nothing to explain.",
            hint="Check the column, and the rows that are left after missing values were dropped.",
        )
    with_y = gram.ww[:r, r]
    clear = CLEAR * gram.ww[r, r]  # seen at once; X'X is the identity up to rounding
    if gram.ww[r, r] - with_y @ with_y > clear > n * (PERFECT * max(high, -low) / gram.standard.unit) ** 2:
        return
    rest = Gls.of(gram.ww).pwrss
    size = root_mean_square(y) / gram.standard.unit
    if rest <= n * (PERFECT * max(size, 1.0)) ** 2 or rest <= 4e-15 * gram.ww[r, r]:
        raise ModelError(
            f"The fixed effects fit the response {design.response!r} perfectly: the residual variance is zero.",
            hint="Is the response computed from the predictors, or used as one?",
        )


def _numbers_as_text(design: Design) -> str | None:
    """A hint where a column has a coefficient for nearly each row because its numbers were read as text."""
    found: dict[str, list[str]] = {}
    for name in design.names:
        column, bracket, level = name.partition("[T.")
        if bracket and column.isidentifier():
            found.setdefault(column, []).append(level.removesuffix("]"))
    for column, levels in found.items():
        if 2 * len(levels) > design.nobs and all(map(_is_number, levels)):
            return f"{column!r} is text that reads as numbers, a factor with {len(levels) + 1} levels: turn it into numbers."
    return None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def needs_estimated_sigma(known: float | None, what: str, instead: str) -> None:
    """Raises ModelError for what has no meaning where the sampling variances are known; `known` is sigma then."""
    if known is not None:
        raise ModelError(
            f"{what} needs an estimated residual variance, and the sampling variances of this model are known.", hint=instead
        )


def root_mean_square(y: Array) -> float:
    if all_finite(y):
        return math.sqrt(float(y.dot(y)) / len(y))
    largest = float(np.abs(y).max())
    scaled = y / largest if largest > 0.0 else y
    return largest * math.sqrt(float(scaled.dot(scaled)) / len(y))


def data_findings(design: Design, rows: Rows, dropped: tuple[str, ...]) -> list[Finding]:
    """Rows and columns that were left out, and factors with few levels."""
    out = []
    if rows.n_total > design.nobs:
        counts = [f"{count} in {name}" for name, count in rows.missing.items() if count]
        counts += [f"{count} where {text} is no number" for text, count in rows.created.items()]
        why = f" for missing values ({', '.join(counts)})" if counts else ""
        gone = rows.n_total - design.nobs
        zeros = f"{' and' if counts else ''} for a weight of zero ({rows.zero_weights})" if rows.zero_weights else ""
        out.append(
            Finding(
                "rows_dropped_missing", "note",
                f"{gone} of {rows.n_total} rows {'was' if gone == 1 else 'were'} left out{why}{zeros}.",
                evidence={"dropped": gone, "missing": dict(rows.missing), "created": dict(rows.created)},
            )
        )  # fmt: skip
    if dropped:
        out.append(
            Finding(
                "rank_deficient_columns_dropped", "warning",
                f"The fixed effects are collinear; dropped: {', '.join(dropped)}.",
                "Their coefficients are not estimable beside the columns before them.",
                {"columns": dropped},
            )
        )  # fmt: skip
    for term in {id(term.group): term for term in design.terms}.values():
        group = term.group
        out += numeric_group(design, group)
        if term.size < FEW_LEVELS:
            out.append(
                Finding(
                    "few_levels", "note",
                    f"{group.name} has {term.size} levels: its variance is estimated with little precision.",
                    "Consider it as a fixed effect.",
                    {"group": group.name, "levels": term.size},
                )
            )  # fmt: skip
    return out


def numeric_group(design: Design, group: Grouping) -> list[Finding]:
    """A note where a grouping factor looks like a measurement.

    It does where its many levels are numbers with fractions, or where it is also a numeric predictor and most rows have a level of
    their own. A dose at a few values, or a lack-of-fit term with repeated values, is a grouping factor like any other.
    """
    if len(group.variables) > 1 or not isinstance(group.levels[0], float | int) or isinstance(group.levels[0], bool):
        return []
    fractions = group.size > MANY_FRACTIONS and bool(np.any(np.asarray(group.levels, dtype=float) % 1.0))
    if not fractions and not (group.name in design.names and 2 * group.size > design.nobs):
        return []
    return [
        Finding(
            "numeric_group", "note",
            f"{group.name} is a number, and as a grouping factor each of its {group.size} values is a level of its own.",
            f"A measurement belongs in front of the bar or into the fixed part: ({group.name} | g), with g the units that repeat.",
            {"group": group.name, "levels": group.size, "rows": design.nobs},
        )
    ]  # fmt: skip


def identification_findings(design: Design, optimum: Optimum) -> list[Finding]:
    """Random effects and a residual structure that say the same: the criterion is flat along a combination of them."""
    counted = visit_findings(design, optimum)
    if counted:
        return counted
    if design.residual is None or optimum.state != "optimum" or optimum.certificate.smallest_curvature > FLAT:
        return []
    both = (
        f"{' and '.join(term.label for term in design.terms)} and {design.residual.label}"
        if design.terms
        else design.residual.label
    )
    return [
        Finding(
            "not_identified", "warning",
            f"The data do not tell all covariance parameters of {both} apart: several sets of them fit equally well.",
            "The fixed effects and their tests stand; leave one of the terms out before you read the covariance parameters.",
            {"smallest_curvature": optimum.certificate.smallest_curvature},
        )
    ]  # fmt: skip


def optimum_findings(optimum: Optimum) -> list[Finding]:
    """What the optimizer has to tell."""
    certificate = {
        "decrement": optimum.certificate.decrement,
        "smallest_curvature": optimum.certificate.smallest_curvature,
        "scaled_gradient": optimum.certificate.scaled_gradient,
    }
    out = []
    if optimum.state == "not converged":
        out.append(
            Finding(
                "not_converged", "serious", optimum.message,
                "Do not trust the estimates; simplify the random effects or try another optimizer.",
                certificate,
            )
        )  # fmt: skip
    if optimum.state == "optimum on the boundary":
        of_residuals = any("residuals" in one or "nugget" in one for one in optimum.boundary)
        parts = "covariance parameters" if of_residuals else "random effects"
        out.append(
            Finding(
                "singular_fit", "warning",
                f"The best fit is on the boundary: {'; '.join(optimum.boundary)}.",
                f"The data do not support all {parts}; the fit is valid, a simpler model fits as well.",
                {"directions": optimum.boundary, **certificate},
            )
        )  # fmt: skip
    if optimum.other_optima:
        gaps = ", ".join(f"{value - optimum.value:.3g}" for value in optimum.other_optima)
        out.append(
            Finding(
                "multiple_optima", "warning",
                f"The criterion has {1 + len(optimum.other_optima)} local optima; "
                f"the best is reported, the others are worse by {gaps}.",
                "The data hardly determine the variance components; compare the fits before you rely on one.",
                {"criteria": optimum.other_optima},
            )
        )  # fmt: skip
    return out
