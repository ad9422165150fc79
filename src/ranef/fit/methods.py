"""Names of the methods of denominator degrees of freedom, and what a header calls them."""

from __future__ import annotations

from ranef.errors import ModelError

DDF: dict[str, str] = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward and Roger's degrees of freedom and standard errors",
    "kenward-roger-linear": "Kenward and Roger's degrees of freedom and standard errors (linear variant)",
    "kenward-roger-observed": "Kenward and Roger's degrees of freedom and standard errors (observed information)",
    "kenward-roger-observed-linear": (
        "Kenward and Roger's degrees of freedom and standard errors (observed information, linear variant)"
    ),
    "between-within": "between-within degrees of freedom",
    "containment": "containment degrees of freedom",
    "residual": "residual degrees of freedom",
    "knapp-hartung": "Knapp and Hartung's standard errors and residual degrees of freedom",
    "asymptotic": "z tests (asymptotic; too optimistic in small samples)",
    "CR0": "cluster-robust standard errors (CR0) and Satterthwaite's degrees of freedom",
    "CR1": "cluster-robust standard errors (CR1) and Satterthwaite's degrees of freedom",
    "CR2": "cluster-robust standard errors (CR2) and Satterthwaite's degrees of freedom",
    "CR3": "cluster-robust standard errors (CR3) and Satterthwaite's degrees of freedom",
}
ROBUST = ("CR0", "CR1", "CR2", "CR3")
WITHOUT_RANDOM = ("asymptotic", *ROBUST)  # the methods that a model without random effects has besides its exact residual df


def check_ddf(ddf: str) -> str:
    """Raises ModelError for a method that is not known."""
    if not isinstance(ddf, str) or ddf not in DDF:
        raise ModelError(f"ddf={ddf!r} is not known.", hint=f"Use one of: {', '.join(DDF)}.")
    return ddf
