"""A fit as plain values, for JSON: what other programs read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ranef.cells import jsonable

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

FORMAT = 1


def record(fit: Fit) -> dict[str, Any]:
    """Facts, tables (column to list) and findings; what is not a finite number is null."""
    from ranef import __version__

    tables = {
        "fixed": fit.tidy(effects=("fixed",), conf_int=True),
        "variance_components": fit.varcorr,
        "random_effects": fit.ranef(),
    }
    return {
        "format": FORMAT,
        "ranef": __version__,
        "formula": fit.formula,
        "method": "REML" if fit.reml else "ML",
        "ddf": fit.ddf,
        "status": fit.status,
        "groups": dict(fit.ngroups),
        **{name: values[0] for name, values in fit.glance().to_dict().items()},
        **{name: table.to_dict() for name, table in tables.items()},
        "findings": [
            {
                "code": one.code,
                "severity": one.severity,
                "message": one.message,
                "remedy": one.remedy,
                "evidence": _plain(one.evidence),
            }
            for one in fit.findings
        ],
    }


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return jsonable(value)
