"""Saved models: what a fit knows, without its data and without pickle.

A likelihood touches the data only through the Gram blocks, so these, the maps to the user's units and theta are a whole fit.
Everything but what needs single rows (residuals, simulation, refitting) is computed from them again, by the same code. See
docs/decisions/saved-models.md.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ranef.covariance import description
from ranef.design import Design, RandomTerm
from ranef.errors import SavedModelError
from ranef.fit.container import read, write
from ranef.fit.residual_side import refuse_structured
from ranef.fit.rows import has_rows

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MAGIC = "ranef model"
FORMAT = 1
MAX_BYTES = 2**30


def save(fit: Fit, path: str | PathLike[str]) -> None:
    """Write a fit to one file: a few kB, and a few numbers for each level of a grouping factor. The same fit gives the same bytes.

    Raises SavedModelError where the file cannot be written.
    """
    refuse_structured(fit, "save()", "Keep the data and the call, and fit again.")
    write(path, _header(fit), _arrays(fit))


def load(
    path: str | PathLike[str], *, functions: Mapping[str, Callable[..., Any]] | None = None, max_bytes: int = MAX_BYTES
) -> Fit:
    """The fit that `save` wrote, for all that does not need the rows of the data.

    functions: those that the formula calls, where the fit was given some; no file holds them. max_bytes: of arrays that are read.

    Raises SavedModelError for a file that is no saved model, is damaged, contradicts itself or is of a newer version.

    Examples
    --------
    >>> import ranef
    >>> m = ranef.lmm("Reaction ~ Days + (Days | Subject)", ranef.datasets.load("sleepstudy"))
    >>> m.save("sleep.ranef")
    >>> again = ranef.load("sleep.ranef")
    >>> again.predict({"Days": [5], "Subject": ["308"]}).round(2)
    array([351.99])
    """
    from ranef.fit.restore import restore

    header, arrays = read(path, max_bytes=max_bytes)
    if header.get("magic") != MAGIC:
        raise SavedModelError("This is not a saved model: its header is of another kind of file.")
    if header.get("format") != FORMAT:
        found, version = header.get("format"), header.get("version")
        raise SavedModelError(
            f"The model was saved in format {found!r} by version {version!r}; this version reads format {FORMAT}.",
            hint="Update ranef, or save the model again.",
        )
    try:
        return restore(header, arrays, functions or {})
    except SavedModelError:
        raise
    except Exception as problem:  # numbers and words of a stranger can make any step of the algebra fail
        raise SavedModelError(f"The saved model is damaged: {type(problem).__name__}: {problem}") from None


def data_digest(design: Design) -> str:
    """SHA-256 of response, columns, codes, offset and weights: whether two fits had the same data, without giving them away."""
    digest = hashlib.sha256()
    for array in (design.y, design.X, design.offset, design.weights):
        digest.update(b"-" if array is None else np.ascontiguousarray(array, dtype="<f8").tobytes())
    for term in design.terms:
        digest.update(np.ascontiguousarray(term.group.codes, dtype="<i8").tobytes())
        digest.update(b"-" if term.z is None else np.ascontiguousarray(term.z, dtype="<f8").tobytes())
    return digest.hexdigest()


def _header(fit: Fit) -> dict[str, Any]:
    import ranef

    design, gram, options, rows = fit.model.design, fit.criterion.gram, fit.model.options, fit.model.rows
    standard = gram.standard
    return {
        **_plain({
            "magic": MAGIC,
            "format": FORMAT,
            "version": ranef.__version__,
            "formula": fit.formula,
            "reml": fit.reml,
            "options": {"ddf": options.ddf, "optimizer": options.optimizer},
            "facts": {"nobs": gram.nobs, "deviance": fit.optimum.value, "sigma": fit.sigma, "beta": fit.params.to_dict()},
            "response": design.response,
            "names": design.names,
            "intercept": design.intercept,
            "sigma": design.sigma,
            "terms": [_term(term) for term in design.terms],
            "standard": {
                "kept": standard.kept, "unit": standard.unit, "constants": standard.z_constant, "log_weights": gram.log_weights,
            },
            "optimum": _optimum(fit),
            "findings": [asdict(finding) for finding in fit.findings],
            "rows": {"n_total": rows.n_total, "missing": dict(rows.missing), "frame": rows.frame},
            "digest": data_digest(design) if has_rows(fit) else None,
        }),
        "schema": fit.model.schema.to_json(),
    }  # fmt: skip


def _term(term: RandomTerm) -> dict[str, Any]:
    own = description(term.covariance)
    return {
        "label": term.label,
        "group": term.group.name,
        "names": term.names,
        "structure": own,
        "levels": term.levels,
        "plain": term.z is None,
    }


def _optimum(fit: Fit) -> dict[str, Any]:
    optimum = fit.optimum
    kept = ("state", "message", "evaluations", "optimizer", "boundary", "other_optima")
    return {"certificate": asdict(optimum.certificate), **{name: getattr(optimum, name) for name in kept}}


def _arrays(fit: Fit) -> dict[str, NDArray[Any]]:
    gram, standard = fit.criterion.gram, fit.criterion.gram.standard
    out: dict[str, NDArray[Any]] = {
        "theta": fit.optimum.theta,
        "gradient": fit.optimum.gradient,
        "hessian": fit.hessian,
        "ww": gram.ww,
    }
    out |= {name: getattr(standard, name) for name in ("center", "scale", "upper", "null", "shift")}
    several: dict[str, tuple[NDArray[Any], ...]] = {name: getattr(standard, name) for name in ("z_center", "z_scale")}
    several |= {name: getattr(gram, name) for name in ("zz", "zw", "z_root")}
    out |= {f"{name}.{i}": array for name, arrays in several.items() for i, array in enumerate(arrays)}
    if fit.solution.moved is not None:
        gls = fit.solution.gls
        out |= {"gls.lower": gls.lower, "gls.gamma": gls.gamma, "gls.pwrss": np.array([gls.pwrss]), "forms": fit.solution.forms}
    for (f, g), pair in gram.pairs.items():
        out |= {f"pair.{f}.{g}.rows": pair.rows, f"pair.{f}.{g}.columns": pair.columns, f"pair.{f}.{g}.values": pair.values}
    return out


def _plain(value: Any) -> Any:
    """JSON data: tuples become lists, NumPy scalars numbers, and what is not finite its name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
