"""Names of the methods of denominator degrees of freedom, and what a header calls them."""

from __future__ import annotations

from ranef.errors import ModelError

DDF: dict[str, str] = {
    "satterthwaite": "Satterthwaite's degrees of freedom",
    "kenward-roger": "Kenward and Roger's degrees of freedom and standard errors",
    "kenward-roger-linear": "Kenward and Roger's degrees of freedom and standard errors (linear variant)",
    "kenward-roger-observed": "Kenward and Roger's degrees of freedom and standard errors (observed information)",
    "between-within": "between-within degrees of freedom",
    "containment": "containment degrees of freedom",
    "residual": "residual degrees of freedom",
    "asymptotic": "z tests (asymptotic; too optimistic in small samples)",
}


def check_ddf(ddf: str) -> str:
    """Raises ModelError for a method that is not known."""
    if ddf not in DDF:
        raise ModelError(f"ddf={ddf!r} is not known.", hint=f"Use one of: {', '.join(DDF)}.")
    return ddf
