"""From the header and the arrays of a saved model to a fit, with nothing in them taken on trust.

Shapes follow from the words of the header, every place must be in range, and the answers that the header tells must come out of the
numbers again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ranef.core.criterion import Criterion
from ranef.core.gram import Gram, Pair
from ranef.core.layout import Layout
from ranef.core.pieces import Gls
from ranef.core.solution import Moved, Solution
from ranef.core.standard import Standard
from ranef.covariance import Covariance, restored, structure
from ranef.design import Design, Grouping, RandomTerm
from ranef.errors import Finding, SavedModelError
from ranef.fit.answer import Searched
from ranef.fit.fit import Fit, check_ddf
from ranef.fit.model import Model, Options
from ranef.formula import parse
from ranef.optim.problem import Certificate, Optimum
from ranef.schema import Intake, Rows, Schema
from ranef.schema.coding import width

AGREE = 1e-6  # what the file says and what its numbers give, relative

Header = Mapping[str, Any]
Arrays = Mapping[str, NDArray[Any]]


def restore(header: Header, arrays: Arrays, functions: Mapping[str, Callable[..., Any]]) -> Fit:
    """The fit, its design without rows.

    Raises SavedModelError where header and arrays contradict each other, and KeyError, TypeError, LinAlgError and others where they
    are not those of a saved model at all.
    """
    schema = Schema.from_json(header["schema"]).with_functions(functions)
    design = _design(header, schema)
    reml = bool(header["reml"])
    criterion = Criterion.of_gram(_gram(header, arrays, design), reml or not (design.terms or design.sigma))
    options = Options(check_ddf(header["options"]["ddf"]), header["options"]["optimizer"])
    _texts("the options", options.optimizer)
    model = Model(parse(header["formula"]), Intake(design, schema, _rows(header["rows"])), reml, options, dict(header["options"]))
    optimum = _optimum(header, arrays, criterion.layout.size)
    solution = Solution(criterion, optimum.theta, _moved(arrays, criterion))
    fit = Fit(model, Searched(criterion, optimum, solution), tuple(map(_finding, header["findings"])))
    _verify(fit, header["facts"])
    return fit


def _moved(arrays: Arrays, criterion: Criterion) -> Moved | None:
    if "forms" not in arrays:
        return None
    r = criterion.gram.rank
    lower, (pwrss,) = _shaped(arrays, "gls.lower", r, r), _shaped(arrays, "gls.pwrss", 1).tolist()
    _expect(np.all(lower.diagonal() > 0) and pwrss > 0, "the least squares")
    gls = Gls(lower, _shaped(arrays, "gls.gamma", r), pwrss, 2.0 * float(np.log(lower.diagonal()).sum()))
    return Moved(gls, _shaped(arrays, "forms", len(criterion.layout.directions[0]), r + 1, r + 1))


def _design(header: Header, schema: Schema) -> Design:
    """The design without its rows."""
    p = len(schema.names)
    groups = {
        name: Grouping(name, group.variables, group.labels, np.zeros(0, dtype=np.intp)) for name, group in schema.groups.items()
    }
    levels = [level for group in schema.groups.values() for part in group.parts for level in part]
    _expect(all(isinstance(level, str | int | float) for level in levels), "the levels")
    terms = tuple(_term(saved, groups) for saved in header["terms"])
    _texts("the names", header["response"], *schema.names)
    _expect(tuple(header["names"]) == schema.names and width(schema.fixed, schema.variables) == p, "the fixed effects")
    _expect([width(bar, schema.variables) for bar in schema.bars] == [term.width for term in terms], "the random terms")
    _expect(_is_place(header["intercept"], p), "the intercept")
    sigma = header.get("sigma")
    _expect(sigma is None or (type(sigma) is float and sigma > 0), "the known sigma")
    rows = np.zeros(0), np.zeros((0, p))
    return Design(header["response"], *rows, schema.names, terms, intercept=header["intercept"], sigma=sigma)


def _term(saved: Header, groups: Mapping[str, Grouping]) -> RandomTerm:
    names = tuple(saved["names"])
    _texts("the random terms", saved["label"], *names)
    z = None if saved["plain"] else np.zeros((0, len(names)))
    return RandomTerm(
        saved["label"],
        groups[saved["group"]],
        names,
        z,
        _covariance(saved["structure"], len(names)),
        _count(saved.get("levels"), len(names)),
    )


def _count(levels: Any, k: int) -> int | None:
    """How many of the columns are levels."""
    _expect(levels is None or (type(levels) is int and 0 < levels <= k and k % levels == 0), "the levels in columns")
    return None if levels is None else int(levels)


def _covariance(saved: Any, k: int) -> Covariance:
    """Early files have the word alone."""
    found = structure(saved, k) if isinstance(saved, str) else restored(saved)
    _expect(found.k == k, "the covariance structures")
    return found


def _gram(header: Header, arrays: Arrays, design: Design) -> Gram:
    standard = _standard(header["standard"], arrays, design)
    blocks, r, nobs = standard.layout.blocks, standard.rank, header["facts"]["nobs"]
    _expect(type(nobs) is int and nobs > r, "the number of rows")
    ww = _shaped(arrays, "ww", r + 1, r + 1)
    zz = tuple(_shaped(arrays, f"zz.{f}", block.levels, block.width, block.width) for f, block in enumerate(blocks))
    zw = tuple(_shaped(arrays, f"zw.{f}", block.levels, block.width, r + 1) for f, block in enumerate(blocks))
    roots = tuple(_shaped(arrays, f"z_root.{f}", block.width, block.width) for f, block in enumerate(blocks))
    pairs = {(f, g): _pair(arrays, standard.layout, f, g) for g in range(len(blocks)) for f in range(g)}
    return Gram(standard, nobs, float(header["standard"]["log_weights"]), ww, zz, zw, pairs, roots)


def _standard(saved: Header, arrays: Arrays, design: Design) -> Standard:
    p, kept, constants = len(design.names), tuple(saved["kept"]), tuple(saved["constants"])
    r, widths = len(kept), [term.width for term in design.terms]
    _expect(sorted({*kept} & {*range(p)}) == list(kept), "the columns that were kept")
    _expect(all(_is_place(place, k) for place, k in zip(constants, widths, strict=True)), "the constant columns")
    standard = Standard(
        design=design, layout=Layout.of(design.terms), kept=kept, unit=float(saved["unit"]), orthonormal=None, z_constant=constants,
        center=_shaped(arrays, "center", r), scale=_shaped(arrays, "scale", r), upper=_shaped(arrays, "upper", r, r),
        null=_shaped(arrays, "null", p, p - r), shift=_shaped(arrays, "shift", p),
        z_center=tuple(_shaped(arrays, f"z_center.{i}", k) for i, k in enumerate(widths)),
        z_scale=tuple(_shaped(arrays, f"z_scale.{i}", k) for i, k in enumerate(widths)),
    )  # fmt: skip
    scales = np.concatenate([standard.scale, *standard.z_scale, [standard.unit]])
    _expect(np.all(scales > 0) and np.all(np.diag(standard.upper) != 0), "the units")
    return standard


def _pair(arrays: Arrays, layout: Layout, f: int, g: int) -> Pair:
    first, second = layout.blocks[f], layout.blocks[g]
    rows, columns = arrays[f"pair.{f}.{g}.rows"], arrays[f"pair.{f}.{g}.columns"]
    for codes, block in ((rows, first), (columns, second)):
        _expect(codes.ndim == 1 and codes.dtype.kind == "i" and len(codes) == len(rows) > 0, "the pairs of levels")
        _expect(codes.min() >= 0 and codes.max() < block.levels, "the pairs of levels")
    _expect(np.all(np.diff(rows * second.levels + columns) > 0), "the order of the pairs of levels")
    values = _shaped(arrays, f"pair.{f}.{g}.values", len(rows), first.width, second.width)
    return Pair(rows.astype(np.intp), columns.astype(np.intp), values)


def _optimum(header: Header, arrays: Arrays, q: int) -> Optimum:
    saved = header["optimum"]
    _texts("the optimum", saved["state"], saved["message"], saved["optimizer"], *saved["boundary"])
    _expect(type(saved["evaluations"]) is int, "the optimum")
    return Optimum(
        theta=_shaped(arrays, "theta", q), value=float(header["facts"]["deviance"]), state=saved["state"], message=saved["message"],
        certificate=_certificate(saved["certificate"]), evaluations=saved["evaluations"], optimizer=saved["optimizer"], path=(),
        gradient=_shaped(arrays, "gradient", q), hessian=_shaped(arrays, "hessian", q, q),
        boundary=tuple(saved["boundary"]), other_optima=tuple(map(float, saved["other_optima"])),
    )  # fmt: skip


def _certificate(saved: Header) -> Certificate:
    decrement, curvature, gradient = (float(saved[name]) for name in ("decrement", "smallest_curvature", "scaled_gradient"))
    return Certificate(decrement, curvature, gradient, int(saved["starts"]), int(saved["agreeing"]))


def _rows(saved: Header) -> Rows:
    _texts("the rows", saved["frame"], *saved["missing"])
    _expect(all(type(count) is int for count in (saved["n_total"], *saved["missing"].values())), "the rows")
    return Rows(saved["n_total"], missing=saved["missing"], frame=saved["frame"])


def _finding(saved: Header) -> Finding:
    finding = Finding(**saved)
    _texts("the findings", finding.code, finding.severity, finding.message, finding.remedy)
    return finding


def _verify(fit: Fit, facts: Header) -> None:
    """The numbers of the file must give the answers that its header tells."""
    value = fit.criterion.value(fit.solution.pieces)
    _expect(abs(value - facts["deviance"]) <= AGREE * (1.0 + abs(value)), "the criterion")
    _expect(np.isfinite(fit.sigma) and abs(fit.sigma - facts["sigma"]) <= AGREE * fit.sigma, "sigma")
    _expect(list(facts["beta"]) == list(fit.params.index), "the names of the coefficients")
    beta = np.array(list(facts["beta"].values()), dtype=float)
    _expect(np.all(np.abs(beta - fit.params) <= AGREE * (np.abs(beta) + fit.bse)), "the coefficients")


def _shaped(arrays: Arrays, name: str, *shape: int) -> NDArray[Any]:
    if name not in arrays:
        raise SavedModelError(f"The saved model lacks the array {name!r}.")
    if arrays[name].shape != shape:
        raise SavedModelError(f"The array {name!r} has the shape {arrays[name].shape}, and the model needs {shape}.")
    return arrays[name]


def _is_place(place: Any, size: int) -> bool:
    return place is None or (type(place) is int and 0 <= place < size)


def _texts(what: str, *values: Any) -> None:
    _expect(all(isinstance(value, str) for value in values), what)


def _expect(holds: Any, what: str) -> None:
    if not holds:
        raise SavedModelError(f"The saved model contradicts itself about {what}.")
