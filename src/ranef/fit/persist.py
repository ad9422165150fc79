"""Saved models: what a fit knows, without its data and without pickle.

A likelihood touches the data only through the Gram blocks, so these, the maps to the user's units and theta are a whole fit: everything
but what needs single rows (residuals, simulation, refitting) is computed from them again, by the same code. See
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

from ranef.core.criterion import Criterion
from ranef.core.gram import Gram, Pair
from ranef.core.layout import Layout
from ranef.core.solution import Solution
from ranef.core.standard import Standard
from ranef.covariance import STRUCTURES
from ranef.design import Design, Grouping, RandomTerm
from ranef.errors import Finding, SavedModelError
from ranef.fit.container import read, write
from ranef.fit.model import Model, Options
from ranef.formula import parse
from ranef.optim.problem import Certificate, Optimum
from ranef.schema import Intake, Rows, Schema

if TYPE_CHECKING:
    from ranef.fit.fit import Fit

MAGIC = "ranef model"
FORMAT = 1
MAX_BYTES = 2**30
AGREE = 1e-6  # what the file says and what its numbers give, relative

Arrays = Mapping[str, NDArray[Any]]


def save(fit: Fit, path: str | PathLike[str]) -> None:
    """Write a fit to one file of a few kB (plus a few numbers for each level of a grouping factor); the same fit gives the same bytes.

    Raises SavedModelError where the file cannot be written.
    """
    write(path, _header(fit), _arrays(fit))


def load(
    path: str | PathLike[str], *, functions: Mapping[str, Callable[..., Any]] | None = None, max_bytes: int = MAX_BYTES
) -> Fit:
    """The fit that `save` wrote, for all that does not need the rows of the data.

    functions: those that the formula calls, where the fit was given some; no file holds them. max_bytes: of arrays that are read.

    Raises SavedModelError for a file that is no saved model, is damaged, contradicts itself or is of a newer version.
    """
    header, arrays = read(path, max_bytes=max_bytes)
    if header.get("magic") != MAGIC:
        raise SavedModelError("This is not a saved model: its header is of another kind of file.")
    if header.get("format") != FORMAT:
        raise SavedModelError(
            f"The model was saved in format {header.get('format')!r} by version {header.get('version')!r}; this version reads format {FORMAT}.",
            hint="Update ranef, or save the model again.",
        )
    try:
        fit = _fit(header, arrays, functions)
        _verify(fit, header)
    except SavedModelError:
        raise
    except Exception as problem:  # numbers and words of a stranger can make any step of the algebra fail
        raise SavedModelError(f"The saved model is damaged: {type(problem).__name__}: {problem}") from None
    return fit


def data_digest(design: Design) -> str:
    """SHA-256 of response, columns, codes, offset and weights: says whether two fits had the same data, and gives none of them away."""
    digest = hashlib.sha256()
    for array in (design.y, design.X, design.offset, design.weights):
        digest.update(b"-" if array is None else np.ascontiguousarray(array, dtype="<f8").tobytes())
    for term in design.terms:
        digest.update(np.ascontiguousarray(term.group.codes, dtype="<i8").tobytes())
        digest.update(b"-" if term.z is None else np.ascontiguousarray(term.z, dtype="<f8").tobytes())
    return digest.hexdigest()


def _header(fit: Fit) -> dict[str, Any]:
    import ranef

    design, standard, gram = fit.model.design, fit.criterion.gram.standard, fit.criterion.gram
    optimum, options, rows = fit.optimum, fit.model.options, fit.model.rows
    return {**_plain({
        "magic": MAGIC,
        "format": FORMAT,
        "version": ranef.__version__,
        "formula": fit.formula,
        "reml": fit.reml,
        "options": {"ddf": options.ddf, "optimizer": options.optimizer},
        "facts": {"nobs": gram.nobs, "deviance": optimum.value, "sigma": fit.sigma, "beta": fit.params.to_dict()},
        "response": design.response,
        "names": design.names,
        "intercept": design.intercept,
        "terms": [{"label": term.label, "group": term.group.name, "names": term.names, "structure": term.covariance.word,
                   "plain": term.z is None} for term in design.terms],
        "standard": {"kept": standard.kept, "unit": standard.unit, "constants": standard.z_constant, "log_weights": gram.log_weights},
        "optimum": {"state": optimum.state, "message": optimum.message, "certificate": asdict(optimum.certificate),
                    "evaluations": optimum.evaluations, "optimizer": optimum.optimizer, "boundary": optimum.boundary,
                    "other_optima": optimum.other_optima},
        "findings": [asdict(finding) for finding in fit.findings],
        "rows": {"n_total": rows.n_total, "missing": dict(rows.missing), "frame": rows.frame},
        "digest": data_digest(design) if design.nobs == gram.nobs else None,
    }), "schema": fit.model.schema.to_json()}  # fmt: skip


def _arrays(fit: Fit) -> dict[str, NDArray[Any]]:
    gram, standard = fit.criterion.gram, fit.criterion.gram.standard
    out = {"theta": fit.optimum.theta, "gradient": fit.optimum.gradient, "hessian": fit.hessian, "ww": gram.ww}
    out |= {"center": standard.center, "scale": standard.scale, "upper": standard.upper, "null": standard.null, "shift": standard.shift}
    for name, several in (("z_center", standard.z_center), ("z_scale", standard.z_scale), ("zz", gram.zz), ("zw", gram.zw), ("z_root", gram.z_root)):
        out |= {f"{name}.{i}": array for i, array in enumerate(several)}
    for (f, g), pair in gram.pairs.items():
        out |= {f"pair.{f}.{g}.rows": pair.rows, f"pair.{f}.{g}.columns": pair.columns, f"pair.{f}.{g}.values": pair.values}
    return out


def _fit(header: Mapping[str, Any], arrays: Arrays, functions: Mapping[str, Callable[..., Any]] | None) -> Fit:
    from ranef.fit.fit import Fit

    schema = Schema.from_json(header["schema"]).with_functions(functions or {})
    design = _design(header, schema)
    layout = Layout.of(design.terms)
    criterion = Criterion.of_gram(_gram(header, arrays, design, layout), bool(header["reml"]))
    optimum = _optimum(header, arrays, layout)
    rows = Rows(**{**header["rows"], "frame": str(header["rows"]["frame"])})
    model = Model(parse(header["formula"]), Intake(design, schema, rows), criterion.reml, Options(**header["options"]), dict(header["options"]))
    findings = tuple(Finding(**finding) for finding in header["findings"])
    return Fit(model, criterion, optimum, Solution(criterion, optimum.theta), findings)


def _design(header: Mapping[str, Any], schema: Schema) -> Design:
    """The design without its rows."""
    groups = {}
    for name, group in schema.groups.items():
        labels = group.labels
        groups[name] = Grouping(name, group.variables, labels, np.zeros(0, dtype=np.intp))
    terms = []
    for saved in header["terms"]:
        names = tuple(saved["names"])
        z = None if saved["plain"] else np.zeros((0, len(names)))
        terms.append(RandomTerm(saved["label"], groups[saved["group"]], names, z, STRUCTURES[saved["structure"]](len(names))))
    _expect(tuple(header["names"]) == schema.names, "the fixed effects")
    _expect(len(terms) == len(schema.bars), "the random terms")
    X = np.zeros((0, len(schema.names)))
    return Design(header["response"], np.zeros(0), X, schema.names, tuple(terms), intercept=header["intercept"])


def _gram(header: Mapping[str, Any], arrays: Arrays, design: Design, layout: Layout) -> Gram:
    saved, p = header["standard"], len(design.names)
    kept = tuple(saved["kept"])
    r, every = len(kept), range(len(design.terms))
    _expect(sorted({*kept} & {*range(p)}) == list(kept), "the columns that were kept")
    _expect(all(place is None or 0 <= place < design.terms[i].width for i, place in enumerate(saved["constants"])), "the constant columns")
    widths = [term.width for term in design.terms]
    standard = Standard(
        design, layout, kept, _shaped(arrays, "center", r), _shaped(arrays, "scale", r), _shaped(arrays, "upper", r, r),
        _shaped(arrays, "null", p, p - r), None, _shaped(arrays, "shift", p), float(saved["unit"]),
        tuple(_shaped(arrays, f"z_center.{i}", widths[i]) for i in every), tuple(_shaped(arrays, f"z_scale.{i}", widths[i]) for i in every),
        tuple(saved["constants"]),
    )  # fmt: skip
    _expect(np.all(standard.scale > 0) and np.all(np.diag(standard.upper) != 0) and standard.unit > 0, "the units")
    blocks = layout.blocks
    zz = tuple(_shaped(arrays, f"zz.{f}", b.levels, b.width, b.width) for f, b in enumerate(blocks))
    zw = tuple(_shaped(arrays, f"zw.{f}", b.levels, b.width, r + 1) for f, b in enumerate(blocks))
    roots = tuple(_shaped(arrays, f"z_root.{f}", b.width, b.width) for f, b in enumerate(blocks))
    pairs = {(f, g): _pair(arrays, layout, f, g) for g in range(len(blocks)) for f in range(g)}
    nobs = header["facts"]["nobs"]
    _expect(type(nobs) is int and nobs > r, "the number of rows")
    return Gram(standard, nobs, float(saved["log_weights"]), _shaped(arrays, "ww", r + 1, r + 1), zz, zw, pairs, roots)


def _pair(arrays: Arrays, layout: Layout, f: int, g: int) -> Pair:
    rows, columns = arrays[f"pair.{f}.{g}.rows"], arrays[f"pair.{f}.{g}.columns"]
    for codes, block in ((rows, layout.blocks[f]), (columns, layout.blocks[g])):
        _expect(codes.ndim == 1 and len(codes) == len(rows) and codes.dtype.kind == "i", "the pairs of levels")
        _expect(len(codes) > 0 and codes.min() >= 0 and codes.max() < block.levels, "the pairs of levels")
    order = rows * layout.blocks[g].levels + columns
    _expect(np.all(np.diff(order) > 0), "the order of the pairs of levels")
    values = _shaped(arrays, f"pair.{f}.{g}.values", len(rows), layout.blocks[f].width, layout.blocks[g].width)
    return Pair(rows.astype(np.intp), columns.astype(np.intp), values)


def _optimum(header: Mapping[str, Any], arrays: Arrays, layout: Layout) -> Optimum:
    saved, q = header["optimum"], layout.size
    certificate = Certificate(**{name: _number(value) for name, value in saved["certificate"].items()})
    return Optimum(
        _shaped(arrays, "theta", q), float(header["facts"]["deviance"]), saved["state"], saved["message"], certificate,
        saved["evaluations"], saved["optimizer"], (), _shaped(arrays, "gradient", q), _shaped(arrays, "hessian", q, q),
        tuple(saved["boundary"]), tuple(saved["other_optima"]),
    )  # fmt: skip


def _verify(fit: Fit, header: Mapping[str, Any]) -> None:
    """The numbers of the file must give the answers that its header tells."""
    facts = header["facts"]
    value = fit.criterion.value(fit.solution.pieces)
    _expect(abs(value - facts["deviance"]) <= AGREE * (1.0 + abs(value)), "the criterion")
    _expect(abs(fit.sigma - facts["sigma"]) <= AGREE * fit.sigma, "sigma")
    _expect(list(facts["beta"]) == list(fit.params.index), "the names of the coefficients")
    beta = np.array(list(facts["beta"].values()), dtype=float)
    _expect(np.all(np.abs(beta - fit.params) <= AGREE * (np.abs(beta) + fit.bse)), "the coefficients")


def _shaped(arrays: Arrays, name: str, *shape: int) -> NDArray[Any]:
    if name not in arrays:
        raise SavedModelError(f"The saved model lacks the array {name!r}.")
    if arrays[name].shape != shape:
        raise SavedModelError(f"The array {name!r} has the shape {arrays[name].shape}, and the model needs {shape}.")
    return arrays[name]


def _expect(holds: Any, what: str) -> None:
    if not holds:
        raise SavedModelError(f"The saved model contradicts itself about {what}.")


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


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value
