"""Data by file name: CSV (also compressed with gzip) and parquet; only the columns that are needed are read."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from ranef.errors import DataError
from ranef.schema.frames import Frame, nearest, open_frame
from ranef.schema.memory import refuse_beyond

LOOK = 200  # lines that are checked before pandas reads the file
MISSING_TEXT = ["", "NA", "NaN", "nan"]
EXACT: dict[str, Any] = (
    {"float_precision": "round_trip"} if int(pd.__version__.split(".")[0]) < 3 else {}
)  # the default from pandas 3 on
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": None}


def open_file(name: str | Path) -> Frame:
    """A Frame on a file, its columns not read yet.

    Raises DataError when there is no such file, or its kind is unknown, or it is damaged.
    """
    path = Path(name)
    if "://" in str(name):
        raise DataError(f"{name!r} is an address, and only files are read", hint="Read it first, for example with pandas.read_csv.")
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder", hint="Name a .csv, .csv.gz, .tsv or .parquet file in it.")
    if not path.is_file():
        near = [other.name for other in path.parent.iterdir() if other.is_file()] if path.parent.is_dir() else []
        raise DataError(f"there is no file {str(path)!r}", hint=nearest(path.name, sorted(near), "Files there") if near else None)
    endings = [ending.lower() for ending in path.suffixes[-2:]]
    if endings and endings[-1] in (".parquet", ".pq"):
        return _parquet(path)
    plain = endings[:-1] if endings and endings[-1] == ".gz" else endings
    if not plain or plain[-1] not in SEPARATORS:
        raise DataError(
            f"cannot tell what kind of file {path.name!r} is", hint="Names of data files end in .csv, .csv.gz, .tsv or .parquet."
        )
    return _text(path, SEPARATORS[plain[-1]])


def _text(path: Path, separator: str | None) -> Frame:
    lines = _first_lines(path)
    header = lines[0] if lines else ""
    if separator is None or (separator == "," and "," not in header):
        separator = max(",\t;", key=header.count)
    names = tuple(next(csv.reader([header.rstrip("\r\n")], delimiter=separator), []))
    if not names:
        raise DataError(f"{path.name!r} has no header line with the names of its columns")
    _check_widths(path, lines, separator, len(names))

    def load(wanted: Sequence[str]) -> Frame:
        places = [names.index(name) for name in wanted]
        try:
            frame = pd.read_csv(
                path, sep=separator, usecols=places, index_col=False, on_bad_lines="error",
                keep_default_na=False, na_values=MISSING_TEXT, encoding="utf-8-sig", low_memory=False, **EXACT,
            )  # fmt: skip
        except (pd.errors.ParserError, UnicodeDecodeError, OSError, EOFError, ValueError) as problem:
            raise DataError(f"{path.name!r} cannot be read as a table: {str(problem).strip()}") from None
        return open_frame(frame)

    return Frame("pandas", names, None, lambda name: load([name]).column(name), load=load)


def _first_lines(path: Path) -> list[str]:
    """Enough of the file to see its columns."""
    try:
        opener: Any = gzip.open if path.suffix.lower() == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
            return [str(line) for line in islice(iter(lambda: lines.readline(1_000_000), ""), LOOK)]
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise DataError(f"{path.name!r} cannot be read as text: {problem}") from None


def _check_widths(path: Path, lines: Sequence[str], separator: str, width: int) -> None:
    """Raises DataError when a line has more fields than the header, which pandas would cut off."""
    try:
        rows = list(csv.reader(lines, delimiter=separator))
    except csv.Error as problem:
        raise DataError(f"{path.name!r} cannot be read as a table: {problem}") from None
    for number, fields in enumerate(rows, start=1):
        if any(fields[width:]):
            raise DataError(
                f"{path.name!r} has {len(fields)} fields in line {number} under a header of {width}",
                hint="Put decimal commas and separators inside a field in quotes, or name the column of row names in the header.",
            )


def _parquet(path: Path) -> Frame:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        return _parquet_by_polars(path)
    try:
        about = parquet.ParquetFile(path)
    except (ArrowException, OSError) as problem:
        raise DataError(f"{path.name!r} is not a readable parquet file: {problem}") from None
    names = tuple(about.schema_arrow.names)

    def load(wanted: Sequence[str]) -> Frame:
        refuse_beyond(
            about.metadata.num_rows * len(wanted) * 16,
            f"{about.metadata.num_rows:,} rows of {len(wanted)} columns of {path.name!r}",
        )
        try:
            frame = open_frame(about.read(columns=list(wanted)))
        except (ArrowException, OSError) as problem:
            raise DataError(f"{path.name!r} is not a readable parquet file: {problem}") from None
        return Frame("pandas", frame.names, frame.size, frame.read)

    return Frame("pandas", names, None, lambda name: load([name]).column(name), load=load)


def _parquet_by_polars(path: Path) -> Frame:
    try:
        import polars
    except ImportError:
        raise DataError(f"reading {path.name!r} needs pyarrow or polars", hint="Install one of them: pip install pyarrow") from None
    try:
        frame = open_frame(polars.scan_parquet(path))
    except (polars.exceptions.PolarsError, OSError) as problem:
        raise DataError(f"{path.name!r} is not a readable parquet file: {problem}") from None
    return Frame("pandas", frame.names, None, frame.read, load=frame.load)
