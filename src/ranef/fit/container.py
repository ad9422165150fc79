"""A file with a JSON header and arrays of numbers: a zip archive that holds `header.json` and one `.npy` for each array.

Made to be read from strangers: nothing is unpickled, unpacked to disk or executed; the header says which arrays there are and
how large, and no more bytes than that are ever decompressed.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ranef.arguments import check_path
from ranef.errors import SavedModelError

HEADER = "header.json"
DTYPES = ("<f8", "<i8")
MAX_HEADER = 64 * 2**20
MAX_MEMBERS = 4096
EPOCH = (1980, 1, 1, 0, 0, 0)  # one date for all files: the same model gives the same bytes

Arrays = Mapping[str, NDArray[Any]]


def write(path: str | os.PathLike[str], header: Mapping[str, Any], arrays: Arrays) -> None:
    """Write in one stroke: a file that was there before is replaced only by a complete one.

    Raises SavedModelError where the place cannot be written.
    """
    target = check_path("path", path)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    plain = {name: np.ascontiguousarray(array, dtype=_dtype(array)) for name, array in arrays.items()}
    manifest = {name: {"dtype": array.dtype.str, "shape": list(array.shape)} for name, array in plain.items()}
    try:
        text = json.dumps({**header, "arrays": manifest}, allow_nan=False)
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file:
            _add(file, HEADER, text.encode())
            for name, array in plain.items():
                content = io.BytesIO()
                npy.write_array(content, array, version=(1, 0), allow_pickle=False)
                _add(file, f"{name}.npy", content.getvalue())
        os.replace(unfinished, target)
    except OSError as problem:
        unfinished.unlink(missing_ok=True)
        raise SavedModelError(f"The model cannot be written to {os.fspath(target)!r}: {problem.strerror or problem}.") from None
    except (TypeError, ValueError) as problem:
        raise SavedModelError(f"The model holds something that no JSON file can: {problem}.") from None


def read(path: str | os.PathLike[str], *, max_bytes: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the arrays; every number is finite.

    Raises SavedModelError for anything that `write` would not have written, and for more than `max_bytes` of arrays.
    """
    path = check_path("path", path)
    try:
        with open(path, "rb") as file:
            return _read(file, max_bytes)
    except SavedModelError:
        raise
    except OSError as problem:
        raise SavedModelError(f"The file {os.fspath(path)!r} cannot be read: {problem.strerror or problem}.") from None
    except Exception as problem:  # a stranger's bytes can make the zip, JSON and NumPy readers raise anything
        raise SavedModelError(f"The file {os.fspath(path)!r} is damaged: {type(problem).__name__}: {problem}") from None


def _read(file: IO[bytes], max_bytes: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    start = file.read(4)
    if start[:1] == b"\x80":
        raise SavedModelError(
            "This is a pickle, which can run any program when it is read.", hint="Save models with fit.save(path)."
        )
    if start != b"PK\x03\x04":
        raise SavedModelError("This is not a saved model: it is no archive of ours.", hint="Save models with fit.save(path).")
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        if len(members) != len(archive.infolist()) or len(members) > MAX_MEMBERS or HEADER not in members:
            raise SavedModelError("This is not a saved model: the archive has other contents.")
        header = json.loads(_bytes(archive, members[HEADER], MAX_HEADER).decode("utf-8"), parse_constant=_refuse_constant)
        manifest = header.get("arrays") if isinstance(header, dict) else None
        if not isinstance(manifest, dict):
            raise SavedModelError("This is not a saved model: its header lists no arrays.")
        expected = {HEADER, *(f"{name}.npy" for name in manifest)}
        if set(members) != expected:
            odd = ", ".join(sorted(set(members) ^ expected)[:3])
            raise SavedModelError(f"The contents of the file and its header disagree about: {odd}.")
        sizes = {name: _size(name, entry) for name, entry in manifest.items()}
        total = sum(sizes.values())
        if total > max_bytes:
            raise SavedModelError(
                f"The file holds {total / 1e6:,.0f} MB of arrays; at most {max_bytes / 1e6:,.0f} MB are read.",
                hint="If you trust the file, give load() a larger max_bytes.",
            )
        return header, {name: _array(archive, members[f"{name}.npy"], name, entry, sizes[name]) for name, entry in manifest.items()}


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def _dtype(array: NDArray[Any]) -> str:
    return "<i8" if array.dtype.kind in "iub" else "<f8"


def _bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """The content of a member of at most `limit` bytes, whatever size the archive claims."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or info.flag_bits & 0x1:
        raise SavedModelError(f"{info.filename} is packed in a way that saved models do not use.")
    with archive.open(info) as member:
        content = member.read(limit + 1)
    if len(content) > limit:
        raise SavedModelError(f"{info.filename} is larger than it may be ({limit:,} bytes).")
    return content


def _size(name: str, entry: Any) -> int:
    """Bytes of the numbers of an array, by the header."""
    shape, dtype = entry["shape"], entry["dtype"]
    if dtype not in DTYPES or len(shape) > 4 or any(type(length) is not int or not 0 <= length < 2**40 for length in shape):
        raise SavedModelError(f"The array {name!r} is described as {dtype!r} of shape {shape!r}, which no saved model has.")
    return 8 * math.prod(shape)


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, entry: Any, size: int) -> NDArray[Any]:
    content = _bytes(archive, info, size + 256)
    stream = io.BytesIO(content)
    if npy.read_magic(stream) != (1, 0):
        raise SavedModelError(f"The array {name!r} is in a format that saved models do not use.")
    shape, fortran, dtype = npy.read_array_header_1_0(stream, max_header_size=256)
    if fortran or dtype.str != entry["dtype"] or list(shape) != entry["shape"] or len(content) - stream.tell() != size:
        raise SavedModelError(f"The array {name!r} is not what the header says it is.")
    array = np.frombuffer(bytearray(content[stream.tell() :]), dtype=dtype).reshape(shape)
    if not np.isfinite(array).all():
        raise SavedModelError(f"The array {name!r} holds numbers that are not finite.")
    return array


def _refuse_constant(word: str) -> Any:
    raise SavedModelError(f"The header of the file holds {word}, which no saved model does.")
