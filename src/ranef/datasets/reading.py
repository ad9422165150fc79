"""Reads an embedded data set into plain columns: numbers as arrays, factors as codes and levels. Needs NumPy only."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from ranef.datasets.catalogue import Dataset, Variable


@dataclass(frozen=True, eq=False)
class Factor:
    """A categorical column: row i has the level `levels[codes[i]]`."""

    codes: NDArray[np.int32]
    levels: tuple[str, ...]
    ordered: bool

    def labels(self) -> NDArray[np.object_]:
        return np.array(self.levels, dtype=object)[self.codes]


Columns = dict[str, NDArray[np.float64] | NDArray[np.int64] | Factor]


def text_of(entry: Dataset) -> str:
    """The data set as CSV text."""
    content = files("ranef.datasets").joinpath("data", entry.file).read_bytes()
    return (gzip.decompress(content) if entry.file.endswith(".gz") else content).decode("utf-8")


def columns_of(entry: Dataset) -> Columns:
    """The columns in the order of the catalogue."""
    header, _, body = text_of(entry).partition("\n")
    cells = _whole_numbers(body, header.count(",") + 1) if entry.file.endswith(".gz") else _cells(body)
    places = {name: place for place, name in enumerate(header.strip().split(","))}
    return {variable.name: _column(variable, cells[:, places[variable.name]]) for variable in entry.variables}


def _cells(body: str) -> NDArray[np.str_]:
    return np.array(list(csv.reader(body.splitlines())))


def _whole_numbers(body: str, width: int) -> NDArray[np.int64]:
    """The cells of a large file, which hold nothing but whole numbers: codes and counts."""
    return np.fromstring(body.replace("\n", ","), dtype=np.int64, sep=",").reshape(-1, width)


def _column(variable: Variable, cells: NDArray[np.str_] | NDArray[np.int64]) -> NDArray[np.float64] | NDArray[np.int64] | Factor:
    if variable.kind == "number":
        return cells.astype(np.float64)
    if variable.kind == "whole":
        return cells.astype(np.int64)
    distinct, inverse = np.unique(cells, return_inverse=True)
    labels = [str(value) for value in distinct]
    levels = variable.levels or _natural(labels)
    place = {level: code for code, level in enumerate(levels)}
    codes = np.array([place[label] for label in labels], dtype=np.int32)[inverse]
    return Factor(codes, levels, variable.kind == "ordered")


def _natural(labels: list[str]) -> tuple[str, ...]:
    """Levels by number when all are numbers, else by name."""
    return tuple(sorted(labels, key=int) if all(label.isdigit() for label in labels) else sorted(labels))
