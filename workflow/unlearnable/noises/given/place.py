"""Where a given noise is, which files it consists of, and their checksum. Without torch, as a plan needs it."""

from __future__ import annotations

import shlex
from pathlib import Path

from unlearnable import files
from unlearnable.errors import UserError

PROJECT = Path(__file__).parents[4]
PICKLES = (".pkl", ".pickle", ".p")
SUFFIXES = (".npy", ".npz", ".safetensors", ".pt", ".pth", ".parquet")
CONVERSION = "import pickle, numpy; numpy.save({new!r}, numpy.asarray(pickle.load(open({old!r}, 'rb'))))"


def located(path: str) -> Path:
    """The file or folder; a relative path starts at the project's folder."""
    return PROJECT / path


def require_known(path: str) -> None:
    """Refuse a pickle, which can run any code when it is loaded.

    Raises:
        UserError: it is one, with the line that converts it.
    """
    old = Path(path)
    if old.suffix.lower() in PICKLES:
        line = shlex.join(["python", "-c", CONVERSION.format(new=str(old.with_suffix(".npy")), old=path)])
        raise UserError(
            f"{path}: a pickle runs code when it is loaded; if you trust whoever wrote it, convert it: {line}"
        )


def members(path: Path) -> list[Path]:
    """The files that a given noise consists of, in order.

    PNG files are sorted by number if all of them are in one folder and called by one, such as 12.png; otherwise by
    path. Hidden files are ignored.

    Raises:
        UserError: there is nothing, or nothing of a known kind, or files of several kinds.
    """
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise UserError(f"{path}: must be {', '.join(SUFFIXES)}, or a folder of PNG or Parquet files")
        return [path]
    if not path.is_dir():
        raise UserError(f"{path}: there is no such file or folder")
    inside = [each for each in path.rglob("*") if each.is_file() and not each.name.startswith(".")]
    parquet = sorted(each for each in inside if each.parent == path and each.suffix == ".parquet")
    png = [each for each in inside if each.suffix.lower() == ".png"]
    odd = sorted(set(inside) - {*parquet, *png})
    if odd or bool(parquet) == bool(png):
        found = f"also holds {odd[0].relative_to(path)}" if odd else "holds both" if png else "holds neither"
        raise UserError(f"{path}: must hold PNG files, or Parquet files, and nothing else, but {found}")
    if parquet:
        return parquet
    numbers = {each.stem for each in png if each.parent == path and each.stem.isascii() and each.stem.isdecimal()}
    if len({int(number) for number in numbers}) == len(png):
        return sorted(png, key=lambda each: int(each.stem))
    return sorted(png, key=lambda each: each.relative_to(path).as_posix())


def checksum(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of its files' names and checksums.

    Raises:
        UserError: as for ``members``, or a file cannot be read.
    """
    found = members(path)
    try:
        if found == [path]:
            return files.sha256(path)
        return files.digest({each.relative_to(path).as_posix(): files.sha256(each) for each in found})
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
