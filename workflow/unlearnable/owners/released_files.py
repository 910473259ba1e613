"""The files of a release that may be from any tool: class folders, an index beside images, or Parquet with images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from unlearnable.datasets import released
from unlearnable.datasets.parquet import parquet_batches, parquet_metadata, require_unpackable
from unlearnable.datasets.readers._decoding import FILE_EXTRA, FILE_PIXEL
from unlearnable.datasets.settings import IMAGE_PIXELS, nfc
from unlearnable.errors import UserError
from unlearnable.owners.structure import Entry, Structure, bad_name, indexed, read_structure

IMAGE, LABEL = "image", "label"  # columns
LIMIT = FILE_PIXEL * IMAGE_PIXELS + FILE_EXTRA  # bytes of an image
ROWS_AT_ONCE = 16
LONGEST_NAME = 255  # bytes


def read_released(given: Path, unpacked: Path) -> Structure:
    """List the files of a release.

    Args:
        given: a release of ``unlearnable protect``; or class folders; or an index of files, or a folder with one; or a
            Parquet file with the columns image and label, or a folder of such files.
        unpacked: folder to write the images of Parquet files to.

    Raises:
        UserError: there are no labels, or no such folder, or a Parquet file is damaged.
    """
    if (given / released.LIST).is_file() and (given / released.IMAGES).is_dir():
        return indexed((given / released.IMAGES).absolute(), given / released.LIST)
    of_folder = sorted(given.glob("*.parquet")) if given.is_dir() else [given]
    with_images = [path for path in of_folder if path.suffix.lower() == ".parquet" and _has_images(path)]
    return _unpack(with_images, unpacked) if with_images else read_structure(given)


def _has_images(path: Path) -> bool:
    if not path.is_file():
        return False
    schema = parquet_metadata(path).schema.to_arrow_schema()
    return IMAGE in schema.names and LABEL in schema.names


def _unpack(paths: list[Path], into: Path) -> Structure:
    """Write the images of Parquet files as files, under the paths that they state or, without one, their numbers."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    found = Structure(into.absolute())
    for path in paths:
        metadata = parquet_metadata(path)
        kind = metadata.schema.to_arrow_schema().field(IMAGE).type
        nested = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
        if not (nested or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
            raise UserError(f"{path}: column {IMAGE!r} holds {kind}, not encoded images")
        require_unpackable(path, f"{IMAGE}.bytes" if nested else IMAGE, LIMIT)
        names = _class_names(metadata.metadata or {})
        for image, label in _rows(path):
            data, stated = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
            name = _name(stated, len(found.entries), into)
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data or b"")
            known = isinstance(label, int) and 0 <= label < len(names)
            found.entries.append(Entry(name, nfc(names[label] if known else str(label))))
    return found


def _rows(path: Path) -> Iterator[tuple[Any, Any]]:
    for batch in parquet_batches(path, [IMAGE, LABEL], ROWS_AT_ONCE):
        for row in batch.to_pylist():
            yield row[IMAGE], row[LABEL]


def _name(stated: Any, number: int, folder: Path) -> str:
    """A path for a file: the one that its row states, if a file can have it and no other row has it; else a number."""
    if isinstance(stated, str) and bad_name(stated) is None and "\0" not in stated:
        path = PurePosixPath(stated)
        fits = path.parts and not path.is_absolute() and ".." not in path.parts
        fits = fits and all(len(part.encode()) <= LONGEST_NAME for part in path.parts)
        if fits and not (folder / path).exists() and not any((folder / parent).is_file() for parent in path.parents):
            return path.as_posix()
    return f"{number:06d}"


def _class_names(metadata: Mapping[bytes, bytes]) -> list[str]:
    """The class names in a file's metadata, as Hugging Face's ``datasets`` writes them; none if there are none."""
    try:
        described: Any = json.loads(metadata.get(b"huggingface", b"null"))
    except ValueError:  # of another program
        return []
    for key in ("info", "features", LABEL, "names"):
        described = described.get(key) if isinstance(described, dict) else None
    return [str(name) for name in described] if isinstance(described, list) else []
