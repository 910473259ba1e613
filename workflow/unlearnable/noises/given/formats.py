"""The files in which noises and protected images are handed around, read piece by piece and never as pickles."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from unlearnable.datasets.parquet import parquet_batches, parquet_metadata, require_unpackable
from unlearnable.datasets.readers._decoding import Encoded, Fit, decoded, file_content
from unlearnable.datasets.readers.parquet.reader import split_files
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError
from unlearnable.noises.given.place import members
from unlearnable.training.loop import UNREADABLE

COLUMNS_AT_ONCE = 2**16  # rows of labels and row numbers
IMAGES_AT_ONCE = 32
ENCODED = "encoded images"
SAFETENSORS = {  # names of types there, and NumPy's
    **{f"F{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "BF16": "bfloat16",
}


@dataclass(frozen=True)
class Opened:
    """An array in a file.

    Attributes:
        where: its name in messages.
        shape: of the whole array, one image or noise a row.
        dtype: of its values, by NumPy's name; ``bfloat16``, which NumPy lacks, is read as float32.
        pieces: yields rows in the order of the file.
        index: ``(n,)`` int64, which training image each row is; None if they are in the order of the training images.
        labels: ``(n,)`` int64, the label of each row; None if the file has none.
    """

    where: str
    shape: tuple[int, ...]
    dtype: str
    pieces: Callable[[], Iterator[Array]]
    index: Array | None = None
    labels: Array | None = None


def opened(path: Path, array: str | None, train: Split) -> Opened:
    """Open a noise or protected images.

    Args:
        path: of the file, or of a folder of PNG or Parquet files.
        array: the name of the array, or of the Parquet files' column; None if there is no choice.
        train: the training images, whose size encoded images must have.

    Raises:
        UserError: the file is damaged, of another kind, or the array is not in it; raised later for what shows only
            when pieces are read.
    """
    found = members(path)
    kind = found[0].suffix.lower()
    if kind in (".npz", ".safetensors", ".pt", ".pth"):
        return {".npz": _npz, ".safetensors": _safetensors}.get(kind, _pt)(path, array)
    if kind == ".parquet":
        names = [path] if found == [path] else [path / name for name in split_files(path, "train")]
        return _parquet(path, names, array or "image", _fit(train))
    if array is not None:
        raise UserError(f"{path}: its content has no name; remove array: {array}")
    return _npy(path) if kind == ".npy" else _png(path, found, _fit(train))


def _fit(train: Split) -> Fit:
    return Fit(train.images.shape[1], train.images.shape[3], resize=False)


def _slices(shape: tuple[int, ...]) -> Iterator[slice]:
    step = chunk_rows(shape[1:])
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _chosen(path: Path, names: list[str], array: str | None) -> str:
    """The name of the one array to read."""
    if array is None and len(names) == 1:
        return names[0]
    if array is None or array not in names:
        known = ", ".join(sorted(names)) or "none"
        why = "name the right one with array" if array is None else f"there is no {array!r}"
        raise UserError(f"{path}: holds {len(names)} arrays ({known}); {why}")
    return array


def _npy(path: Path) -> Opened:
    try:
        values = np.load(path, "r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a complete .npy array without pickles ({error})") from error
    pieces = lambda: (np.asarray(values[rows]) for rows in _slices(values.shape))  # noqa: E731
    return Opened(str(path), values.shape, values.dtype.name, pieces)


def _npz(path: Path, array: str | None) -> Opened:
    """One array of an archive, unpacked piece by piece: its header may announce more than fits into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            name = _chosen(path, names, array)
            where = f"{path}, array {name!r}"
            with archive.open(f"{name}.npy") as member:
                shape, column_major, dtype = _npy_header(member)
    except UNREADABLE as error:
        raise UserError(f"{path}: not a complete .npz archive ({error})") from error
    if dtype.hasobject or column_major:
        raise UserError(f"{where}: must be numbers in row-major order; save numpy.ascontiguousarray of it")

    def pieces() -> Iterator[Array]:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
                _npy_header(member)
                for rows in _slices(shape):
                    size = (rows.stop - rows.start, *shape[1:])
                    yield np.frombuffer(member.read(dtype.itemsize * int(np.prod(size))), dtype).reshape(size)
        except UNREADABLE as error:
            raise UserError(f"{where}: not complete ({error})") from error

    return Opened(where, shape, dtype.name, pieces)


def _npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, column_major, dtype = read(file)
    return shape, column_major, dtype


def _safetensors(path: Path, array: str | None) -> Opened:
    try:
        with safe_open(path, "pt") as file:
            name = _chosen(path, list(file.keys()), array)
            values = file.get_slice(name)
            shape, dtype = tuple(values.get_shape()), SAFETENSORS.get(values.get_dtype(), values.get_dtype())
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not a complete safetensors file ({error})") from error
    where = f"{path}, tensor {name!r}"

    def pieces() -> Iterator[Array]:
        with safe_open(path, "pt") as file:
            values = file.get_slice(name)
            for rows in _slices(shape):
                yield _numpy(values[rows])

    return Opened(where, shape, dtype, pieces)


def _pt(path: Path, array: str | None) -> Opened:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except UNREADABLE as error:
        why = str(error).partition("\n")[0].partition(". ")[0]
        raise UserError(
            f"{path}: torch.load with weights_only=True refuses it ({why}); it must hold tensors alone: "
            "torch.save(torch.as_tensor(noise), FILE)"
        ) from error
    where = str(path)
    if isinstance(content, Mapping):
        names = [str(name) for name, value in content.items() if isinstance(value, Tensor)]
        name = _chosen(path, names, array)
        content, where = content[name], f"{path}, tensor {name!r}"
    elif array is not None:
        raise UserError(f"{path}: its content has no name; remove array: {array}")
    if not isinstance(content, Tensor) or content.layout != torch.strided:
        raise UserError(f"{path}: holds {type(content).__name__}, not one dense tensor; save torch.stack of its parts")
    values: Tensor = content.detach()
    shape = tuple(values.shape)
    pieces = lambda: (_numpy(values[rows]) for rows in _slices(shape))  # noqa: E731
    return Opened(where, shape, str(values.dtype).removeprefix("torch."), pieces)


def _numpy(values: Tensor) -> Array:
    found: Array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    return found


def _png(path: Path, found: list[Path], fit: Fit) -> Opened:
    """A folder of images, in the order of ``members``."""
    images = [(str(each), partial(file_content, each, fit.require_bytes)) for each in found]
    shape = (len(found), fit.size, fit.size, fit.channels)
    return Opened(str(path), shape, ENCODED, lambda: decoded(images, len(images), str(path), fit))


def _parquet(path: Path, names: list[Path], column: str, fit: Fit) -> Opened:
    """Encoded images: a column of bytes, or of structs with the field ``bytes`` as Hugging Face's ``datasets`` has.

    The columns ``index``, the row of each image in the training set, and ``label`` are read if they are there.
    """
    parts, index, labels = [], [], []
    for each in names:
        schema = parquet_metadata(each).schema.to_arrow_schema()
        if schema.names.count(column) != 1:
            raise UserError(f"{each}: must have one column {column!r}; it has {', '.join(schema.names)}; set array")
        kind, field = schema.field(column).type, column
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind, field = kind.field("bytes").type, f"{column}.bytes"
        if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise UserError(f"{each}: column {column!r} holds {kind}, not encoded images")
        require_unpackable(each, field, fit.bytes_limit)
        parts.append((each, field))
        index.append(_numbers(each, schema, "index"))
        labels.append(_numbers(each, schema, "label"))
    rows = sum(parquet_metadata(each).num_rows for each in names)
    shape = (rows, fit.size, fit.size, fit.channels)
    return Opened(
        str(path),
        shape,
        ENCODED,
        lambda: decoded(_cells(parts, fit), rows, str(path), fit),
        _joined(index),
        _joined(labels),
    )


def _numbers(path: Path, schema: pa.Schema, column: str) -> Array | None:
    """A column of whole numbers; None if there is none."""
    if column not in schema.names:
        return None
    found = [np.empty(0, np.int64)]
    for batch in parquet_batches(path, [column], COLUMNS_AT_ONCE):
        values = batch.column(0)
        if not pa.types.is_integer(values.type) or values.null_count:
            raise UserError(f"{path}: column {column!r} must hold whole numbers without gaps")
        found.append(values.to_numpy().astype(np.int64))
    return np.concatenate(found)


def _joined(parts: list[Array | None]) -> Array | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known and len(known) == len(parts) else None


def _cells(parts: list[tuple[Path, str]], fit: Fit) -> Iterator[Encoded]:
    for path, field in parts:
        row = 0
        for batch in parquet_batches(path, [field], IMAGES_AT_ONCE):
            cells = batch.column(0)
            if pa.types.is_struct(cells.type):
                cells = cells.field("bytes")
            for data in cells:
                where = f"{path}, row {row}"
                yield where, partial(_content, data.as_py() or b"", where, fit)
                row += 1


def _content(data: bytes, where: str, fit: Fit) -> bytes:
    fit.require_bytes(len(data), where)
    return data
