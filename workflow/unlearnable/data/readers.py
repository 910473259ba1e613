"""From a dataset's own files to arrays."""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from unlearnable import files
from unlearnable.data.images import Array, Split, check, stratified_order
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator
from unlearnable.settings.dataset import Dataset, MnistDataset, ParquetDataset

MODES = {1: "L", 3: "RGB"}


def read(dataset: Dataset, root: Path, downloads: Path) -> tuple[Split, Split, dict[str, Any]]:
    """Read a dataset and check it against its description.

    Args:
        dataset: the description.
        root: the folder that a relative ``dataset.root`` starts at.
        downloads: where to keep what must be downloaded.

    Returns:
        The training split, the test split, and where they came from.

    Raises:
        UserError: a file is missing, damaged, or not what the description says.
    """
    if isinstance(dataset, ParquetDataset):
        arrays, provenance = _read_parquet(dataset, root)
    else:
        arrays, provenance = _read_mnist(dataset, root, downloads)
    splits = {}
    for name, (images, labels) in arrays.items():
        splits[name] = Split(images, labels.astype(np.int64), dataset.classes)
        check(splits[name], f"{provenance['root']}, {name} split", dataset.image_size, dataset.channels)
    if dataset.validation:
        provenance["validation"] = dataset.validation
        return *_hold_out(splits["train"], dataset.validation), provenance
    return splits["train"], splits["test"], provenance


def _hold_out(train: Split, rows: int) -> tuple[Split, Split]:
    """Split ``rows`` class-balanced images off the training set, to stand in for the test set."""
    if rows > len(train.labels) - len(train.classes):
        raise UserError(f"validation: {rows} is too many of {len(train.labels)} training images")
    order = stratified_order(train.labels, numpy_generator(0, "validation split"))
    held, kept = np.sort(order[:rows]), np.sort(order[rows:])
    return (
        Split(train.images[kept], train.labels[kept], train.classes),
        Split(train.images[held], train.labels[held], train.classes),
    )


def _checked(folder: Path, names: list[str], hashes: dict[str, str]) -> dict[str, str]:
    """The SHA-256 of each file, compared with the expected one where there is one."""
    found = {}
    for name in names:
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file; root must be a folder that holds {', '.join(names)}")
        found[name] = files.sha256(folder / name)
        _compare(folder / name, found[name], hashes.get(name))
    return found


def _compare(path: Path, found: str, expected: str | None) -> None:
    if expected is not None and found != expected:
        raise UserError(f"{path}: checksum mismatch: expected sha256 {expected}, found {found}")


def decode(data: bytes, where: str, size: tuple[int, int] | None, mode: str) -> Array:
    """Decode one image to ``(H, W, C)`` uint8.

    Raises:
        UserError: the bytes are not a whole image, or one of another size or mode.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            if image.mode != mode:
                raise UserError(f"{where}: image mode is {image.mode}, not {mode}")
            if size is not None and image.size != size:
                raise UserError(f"{where}: image is {image.size[0]}x{image.size[1]}, not {size[0]}x{size[1]}")
            pixels = np.asarray(image)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{where}: truncated, or not an image ({error})") from error
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _read_parquet(dataset: ParquetDataset, root: Path) -> tuple[dict[str, tuple[Array, Array]], dict[str, Any]]:
    folder = root / dataset.root
    names = ["train.parquet", "test.parquet"]
    hashes = _checked(folder, names, dataset.sha256)
    size = (dataset.image_size, dataset.image_size)
    arrays = {}
    for name in names:
        path = folder / name
        table = read_table(path)
        for column in (dataset.image_column, dataset.label_column):
            if column not in table.column_names:
                raise UserError(f"{path}: no column {column!r}; it has {', '.join(table.column_names)}")
        column = table[dataset.image_column]
        if pa.types.is_struct(column.type):
            column = pa.chunked_array([chunk.field("bytes") for chunk in column.chunks])
        if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
            raise UserError(f"{path}: column {dataset.image_column!r} holds {column.type}, not encoded images")
        labels = table[dataset.label_column]
        if not pa.types.is_integer(labels.type) or labels.null_count:
            raise UserError(f"{path}: column {dataset.label_column!r} must hold whole numbers without gaps")
        images = np.empty((len(column), *size, dataset.channels), np.uint8)
        for row, data in enumerate(column):
            where = f"{path}, row {row}"
            images[row] = decode(data.as_py() or b"", where, size, MODES[dataset.channels])
        arrays[name.removesuffix(".parquet")] = images, labels.to_numpy()
    return arrays, {"kind": "parquet", "root": dataset.root, "sha256": hashes}


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file.

    Raises:
        UserError: the file is damaged or not Parquet.
    """
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error


MNIST_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def _read_mnist(
    dataset: MnistDataset, root: Path, downloads: Path
) -> tuple[dict[str, tuple[Array, Array]], dict[str, Any]]:
    given = root / dataset.root if dataset.root is not None else None
    if given is not None and given.is_dir():
        folder, origin = given, str(dataset.root)
    else:
        folder, origin = _download_mnist(dataset.variant, downloads), f"torchvision {dataset.variant}"
    hashes = {}
    arrays = {}
    for split, names in MNIST_FILES.items():
        contents = [idx_bytes(folder / name) for name in names]
        for name, data in zip(names, contents, strict=True):
            hashes[name] = hashlib.sha256(data).hexdigest()
            _compare(folder / name, hashes[name], dataset.sha256.get(name))
        images, labels = (parse_idx(d, n, folder / f) for d, n, f in zip(contents, (3, 1), names, strict=True))
        if len(images) != len(labels):
            raise UserError(f"{folder / names[0]}: {len(images)} images but {len(labels)} labels")
        arrays[split] = images[..., None], labels
    return arrays, {"kind": "mnist", "root": origin, "sha256": hashes}


def _download_mnist(variant: str, downloads: Path) -> Path:
    import torchvision  # here, because only this needs it, and it is slow to import

    kind = getattr(torchvision.datasets, variant)
    try:
        kind(downloads, download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{variant} could not be downloaded ({error}); without a network, put its four IDX files into a folder "
            "and name that folder as the dataset's root"
        ) from error
    return Path(downloads, variant, "raw")


def idx_bytes(path: Path) -> bytes:
    """The content of an IDX file, from ``path`` or from its gzip beside it.

    Raises:
        UserError: there is no such file, or it is damaged.
    """
    packed = Path(f"{path}.gz")
    try:
        return path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file, nor {packed.name}; root must be the folder of the IDX files") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{packed}: damaged gzip file ({error})") from error


def parse_idx(data: bytes, dimensions: int, where: Path) -> Array:
    """The unsigned bytes in the content of an IDX file.

    Raises:
        UserError: the content is damaged or is something else.
    """
    header = 4 + 4 * dimensions
    if len(data) < header or data[:4] != bytes([0, 0, 8, dimensions]):
        raise UserError(f"{where}: not an IDX file of unsigned bytes with {dimensions} dimension(s)")
    shape = [int(n) for n in np.frombuffer(data, ">i4", dimensions, 4)]
    if len(data) - header != math.prod(shape):
        raise UserError(f"{where}: {len(data) - header} bytes where {math.prod(shape)} are announced; truncated?")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
