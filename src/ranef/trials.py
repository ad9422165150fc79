"""The thin layer for trials: the mixed model for repeated measures, a ladder of covariance structures, and their comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ranef.api import lmm
from ranef.arguments import checked
from ranef.covariance import word_of
from ranef.errors import Finding, FormulaError, ModelError
from ranef.fit.fit import Fit
from ranef.formula import parse
from ranef.table import Table

Choice = Literal["first", "aicc", "aic", "bic"]


@checked
def mmrm(
    formula: str,
    data: Any,
    *,
    subject: str,
    visit: str,
    cov: str | Sequence[str] = "un",
    by: str | None = None,
    choose: Choice = "first",
    ddf: str = "kenward-roger",
    reml: bool = True,
    **options: Any,
) -> Fit:
    """Fit a mixed model for repeated measures: no random effects, a covariance structure over the visits of a subject.

    Parameters
    ----------
    formula
        The fixed part, such as ``"fev ~ arm * visit + base"``.
    data
        One row for each subject and visit; visits may be missing.
    subject, visit
        Names of columns. Levels of a categorical visit keep their order, numbers and text are sorted.
    cov
        A structure (``"un"``, ``"toeph"``, ``"ar1h"``, ``"csh"``, ...), or several, fixed in advance, from which one is taken.
    by
        A column, such as the arm, each level of which has a covariance matrix of its own.
    choose
        Of several structures the ``"first"`` that converges, or the one with the lowest ``"aicc"``, ``"aic"`` or ``"bic"``. What
        was tried and taken is a finding of the fit, and printed with it.
    ddf
        ``"kenward-roger"`` (expected information), ``"kenward-roger-observed"`` (as SAS), ``"satterthwaite"``, ...
    reml, options
        As in `lmm`.

    Raises
    ------
    ModelError where no structure of the ladder converges, FormulaError for a random term; all that `lmm` raises.

    References
    ----------
    Mallinckrodt, Lane, Schnell, Peng and Mancuso (2008), Drug Inf. J. 42, 303-319.

    Examples
    --------
    >>> import ranef
    >>> growth = ranef.datasets.load("Orthodont")
    >>> m = ranef.mmrm("distance ~ age * Sex", growth, subject="Subject", visit="age", cov="un", ddf="kenward-roger-linear")
    >>> round(m.llf, 4)
    -212.2734
    """
    words = _words(cov)
    if "residual" in options:
        raise ModelError(
            "mmrm() makes the residual structure of cov=, visit= and subject=.", hint="Leave residual= out, or use lmm()."
        )
    for name, column in (("subject", subject), ("visit", visit)):
        if not isinstance(column, str):
            raise ModelError(f"{name}={column!r} must be the name of a column.")
    if choose not in ("first", "aicc", "aic", "bic"):
        raise ModelError(f"choose={choose!r} is not known.", hint='Use "first", "aicc", "aic" or "bic".')
    if not words:
        raise ModelError(f"cov={cov!r} names no structure.", hint='For example cov="un", or cov=["un", "toeph", "ar1h", "csh"].')
    tail = f", by={_name(by)}" if by else ""
    terms = [f"{_known(word)}({_name(visit)} | {_name(subject)}{tail})" for word in words]
    _refuse_random(formula, terms[0])
    if len(words) == 1:
        return lmm(formula, data, residual=terms[0], ddf=ddf, reml=reml, **options)
    tried: dict[str, Fit | ModelError] = {}
    for word, term in zip(words, terms, strict=True):
        try:
            tried[word] = fit = lmm(formula, data, residual=term, ddf=ddf, reml=reml, **options)
        except ModelError as refusal:
            tried[word] = refusal
            continue
        if choose == "first" and fit.status != "not converged":
            break
    return _chosen(tried, words, choose)


@checked
def compare_structures(fit: Fit, structures: Sequence[str]) -> Table:
    """The same model with other residual structures: parameters, log likelihood, AIC, AICc and BIC, best AIC first.

    `structures` are words that take the place of that of `fit`, or whole texts as in `lmm(residual=...)`; ``"id"`` stands for
    independent residuals. The fixed part is the same, so that restricted likelihoods may be compared. AICc counts as observations
    the rows less the fixed effects under REML, BIC all rows (as in `Fit.bic`). Raises ModelError for a fit without structure.

    Examples
    --------
    >>> import ranef
    >>> growth = ranef.datasets.load("Orthodont")
    >>> m = ranef.lmm("distance ~ age * Sex", growth, residual="un(age | Subject)")
    >>> ranef.compare_structures(m, ["un", "csh", "cs", "ar1", "toep"])
    Residual structures
    Structure  Parameters   logLik     AIC  Difference    AICc     BIC  status
    ---------------------------------------------------------------------------
    toep                4  -214.70  445.39      0.0000  446.91  466.85  optimum
    cs                  2  -216.88  445.76      0.3657  446.62  461.85  optimum
    csh                 5  -215.99  449.97      4.5808  451.89  474.11  optimum
    un                 10  -212.27  452.55      7.1553  457.27  490.10  optimum
    ar1                 2  -222.29  456.59     11.1959  457.45  472.68  optimum
    Restricted likelihoods; the fixed part is the same.
    """
    residual = fit.model.design.residual
    if residual is None:
        raise ModelError("The model has no residual structure to compare others with.", hint='Give one: residual="un(visit | id)".')
    structures = _words(structures, "structures")
    if not structures:
        raise ModelError("structures names none.", hint='For example ["un", "csh", "ar1"].')
    at = residual.label.index("(")
    texts = [text if "(" in text else f"{_known(text)}{residual.label[at:]}" for text in structures]
    fits = [fit if text == residual.label else fit.update(residual=text) for text in texts]
    best = min(other.aic for other in fits)
    order = np.argsort([other.aic for other in fits], kind="stable")
    rows = [
        {
            "structure": structures[i],
            "parameters": len(fits[i].optimum.theta),
            "llf": fits[i].llf,
            "aic": fits[i].aic,
            "difference": fits[i].aic - best,
            "aicc": aicc(fits[i]),
            "bic": fits[i].bic,
            "status": fits[i].status,
        }
        for i in order
    ]
    likelihood = "Restricted likelihoods" if fit.reml else "Full likelihoods"
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    notes = (f"{likelihood}; the fixed part is the same.",)
    return Table(columns, "Residual structures", notes, fit.model.rows.frame, headings={"difference": "Difference"})


def aicc(fit: Fit) -> float:
    """AIC corrected for small samples: 2 k n / (n - k - 1) in place of 2 k, n the rows less the fixed effects under REML."""
    n, k = fit.criterion.nu, fit.npar
    return fit.deviance + 2.0 * k * n / (n - k - 1) if n > k + 1 else float("inf")


def _refuse_random(formula: str, structure: str) -> None:
    """Raises FormulaError for a random term, and for a covariance that R's mmrm would have in its formula."""
    bars = parse(formula).bars if isinstance(formula, str) else ()
    if not bars:
        return
    at = max(formula.find("|"), 0)
    raise FormulaError(
        f"mmrm() takes no random terms, and the formula has {bars[0].text}.", text=formula, start=at, stop=at + 1,
        hint="The covariance over visits is that of subject=, visit= and cov=; for random effects beside it use "
        f'lmm(formula, data, residual="{structure}").',
    )  # fmt: skip


def _words(cov: str | Sequence[str], name: str = "cov") -> list[str]:
    words = [cov] if isinstance(cov, str) else list(cov) if isinstance(cov, Sequence) else [cov]
    if not all(isinstance(word, str) for word in words):
        raise ModelError(
            f"{name}={cov!r} is no structure.", hint=f'For example {name}="un", or {name}=["un", "toeph", "ar1h", "csh"].'
        )
    return words


def _known(word: str) -> str:
    found = word_of(word)
    if found is None:
        raise ModelError(f"The structure {word!r} is not known.", hint="For example un, toeph, toep, ar1h, ar1, csh, cs, adh.")
    return found


def _name(column: str) -> str:
    return column if column.isidentifier() else f"`{column}`"


def _chosen(tried: dict[str, Fit | ModelError], words: list[str], choose: Choice) -> Fit:
    fits = {word: fit for word, fit in tried.items() if isinstance(fit, Fit)}
    ready = [word for word, fit in fits.items() if fit.status != "not converged"]
    if not fits:
        raise next(refusal for refusal in tried.values() if isinstance(refusal, ModelError))
    if not ready:
        raise ModelError(
            f"None of the structures {', '.join(words)} converged.", hint="Use a structure with fewer parameters, such as cs."
        )
    criteria = {
        "first": lambda word: words.index(word), "aic": lambda word: fits[word].aic, "bic": lambda word: fits[word].bic,
        "aicc": lambda word: aicc(fits[word]),
    }  # fmt: skip
    taken = min(ready, key=criteria[choose])
    outcomes = [f"{word}: {_outcome(fit)}" for word, fit in tried.items()]
    how = "the first that converged" if choose == "first" else f"the lowest {choose.replace('aicc', 'AICc').replace('bic', 'BIC')}"
    finding = Finding(
        "structure_chosen", "note", f"The residual structure {taken} was taken, {how} of {', '.join(words)}.",
        evidence={"tried": "; ".join(outcomes)},
    )  # fmt: skip
    return replace(fits[taken], findings=(*fits[taken].findings, finding))


def _outcome(fit: Fit | ModelError) -> str:
    return f"{fit.status}, AIC {fit.aic:.1f}" if isinstance(fit, Fit) else f"refused ({str(fit).splitlines()[0]})"
