"""Reads the reference data sets and cases, and fits each case once a session."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

import ranef
from ranef.schema.files import EXACT

HERE = Path(__file__).resolve().parent
CONTRASTS = {
    "contr.sum": "sum",
    "contr.helmert": "helmert",
    "contr.poly": "poly",
    "contr.SAS": "sas",
    "contr.treatment": "treatment",
}
Case = dict[str, Any]


@cache
def _data(name: str) -> pd.DataFrame:
    meta = json.loads((HERE / "data" / f"{name}.json").read_text(encoding="utf-8"))
    raw = (HERE / "data" / meta["file"]).read_bytes()
    text = (gzip.decompress(raw) if meta["file"].endswith(".gz") else raw).decode("utf-8")
    kind = {column["name"]: column["type"] for column in meta["columns"]}
    as_text = {name: str for name, type_ in kind.items() if type_ in ("factor", "ordered", "string", "logical")}
    frame = pd.read_csv(io.StringIO(text), dtype=as_text, keep_default_na=False, na_values=[""], **EXACT)
    for column in meta["columns"]:
        name_, type_ = column["name"], column["type"]
        if type_ in ("factor", "ordered"):
            frame[name_] = pd.Categorical(frame[name_], categories=column["levels"], ordered=type_ == "ordered")
        elif type_ == "logical":
            frame[name_] = frame[name_].map({"true": True, "false": False})
    return frame


def reference_data(name: str) -> pd.DataFrame:
    """A data set with R's types and level order: the first level of a factor is its baseline."""
    return _data(name).copy()


@cache
def reference_case(case_id: str) -> Case:
    return json.loads((HERE / "cases" / f"{case_id}.json").read_text(encoding="utf-8"))


@cache
def _index() -> list[Case]:
    return json.loads((HERE / "index.json").read_text(encoding="utf-8"))


def reference_cases(kind: str, field: str | None = None) -> list[str]:
    """Names of the cases of a kind; with `field`, of those whose results have it."""
    names = [case["id"] for case in _index() if case["kind"] == kind]
    return names if field is None else [name for name in names if field in reference_case(name)["results"]]


def options(case: Case) -> dict[str, Any]:
    """The arguments of `lmm` that say what the case's call says."""
    out: dict[str, Any] = {}
    if case["kind"] == "lmm":
        out["reml"] = case["method"] == "REML"
    if "weights" in case:
        out["precision_weights"] = case["weights"]
    if "offset" in case:
        out["offset"] = case["offset"]
    if "contrasts" in case:
        out["contrasts"] = {name: CONTRASTS[word] for name, word in case["contrasts"].items()}
    return out


@cache
def fitted(case_id: str) -> ranef.Fit:
    """The fit of a reference case, made once and shared by all tests: a Fit is frozen."""
    case = reference_case(case_id)
    call = ranef.lmm if case["kind"] == "lmm" else ranef.lm
    return call(case["formula"], reference_data(case["data"]), **options(case))


def predictions(kind: str) -> Iterator[tuple[str, int]]:
    for case_id in reference_cases(kind, "predictions"):
        yield from ((case_id, k) for k in range(len(reference_case(case_id)["results"]["predictions"])))
