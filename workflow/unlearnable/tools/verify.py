"""``make verify``: compare every result with the hash recorded by its job."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unlearnable import files
from unlearnable.errors import UserError, printable, regenerate
from unlearnable.jobs.presence import anything_running
from unlearnable.products import benchmark_files

OF_RESULTS = ("dataset", "source_model", "noise", "perturbed", "victim", "tables", "figures", "benchmark")
REPORT_SECONDS = 5.0
GB = 10**9


@dataclass
class Recorded:
    """The content of all manifests among the results, and which of them are damaged.

    Attributes:
        hashes: for every listed file, its manifest and its SHA-256.
        manifests: the intact manifests, checksum files and measurements.
        damaged: the damaged ones, each with its fault.
    """

    hashes: dict[Path, tuple[Path, str]] = field(default_factory=dict)
    manifests: set[Path] = field(default_factory=set)
    damaged: dict[Path, str] = field(default_factory=dict)


def results_of(folder: Path) -> list[Path]:
    """The results below ``folder``, without hidden files, checkpoints and downloads (which are checked when used).

    Raises:
        UserError: there is no such folder, or one of its folders cannot be listed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; set --directory to the folder that holds results/")
    return [path for name in OF_RESULTS for path in _below(folder / name)]


def _below(folder: Path) -> Iterator[Path]:
    seen = set()  # links may lead to another disk or form a cycle
    for where, folders, names in os.walk(folder, onerror=_not_listed, followlinks=True):
        status = os.stat(where)
        if (place := (status.st_dev, status.st_ino)) in seen:
            folders.clear()
            continue
        seen.add(place)
        downloads = Path(where).parent == folder and folder.name == "dataset"
        folders[:] = sorted(name for name in folders if name[0] != "." and not (downloads and name == "download"))
        shown = (name for name in sorted(names) if name[0] != "." and not name.endswith(".checkpoint.pt"))
        yield from (Path(where, name) for name in shown)


def _not_listed(error: OSError) -> None:
    """Without this, a folder that cannot be read would count as an empty one."""
    if not isinstance(error, FileNotFoundError):
        raise UserError(f"{error.filename}: cannot be listed ({error.strerror}), so its results were not verified")


def recorded(results: list[Path]) -> Recorded:
    """Read the JSON files and checksum files among the results, and Snakemake's measurements."""
    found = Recorded()
    for path in results:
        try:
            if path.suffix == ".json":
                hashes = files.read_json(path).get(files.HASHES, {})
            elif path.suffix == ".sha256":
                hashes = files.read_checksums(path)
            elif path.suffix == ".jsonl":  # Snakemake's own: without checksum, and lists no files
                benchmark_files.read_benchmark(path)
                hashes = {}
            else:
                continue
        except UserError as error:
            found.damaged[path] = str(error)
        except OSError as error:
            found.damaged[path] = f"{path}: cannot be read ({error.strerror}); {regenerate(path)}"
        else:
            found.manifests.add(path)
            found.hashes |= {path.parent / name: (path, expected) for name, expected in hashes.items()}
    return found


def damages(results: list[Path]) -> Iterator[str]:
    """One line for everything damaged or missing among the results, as soon as it is found.

    Each file is read once, piece by piece; progress goes to stderr.
    """
    known = recorded(results)
    yield from known.damaged.values()
    total = sum(path.stat().st_size for path in known.hashes if path.is_file())
    done, reported = 0, time.monotonic()
    for number, (path, (manifest, expected)) in enumerate(known.hashes.items()):
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            counts = f"{number:,} of {len(known.hashes):,} files, {done / GB:.1f} of {total / GB:.1f} GB"
            print(counts, file=sys.stderr, flush=True)
        problem = files.damage(path, expected)
        if problem is not None:
            yield f"{path}: {problem}; {regenerate(manifest)}"
        if path.is_file():
            done += path.stat().st_size
    unknown = {path.parent for path in known.damaged}  # the files listed in a damaged manifest are unknown
    for path in results:
        accounted = path in known.hashes or path in known.manifests or path in known.damaged
        if not accounted and unknown.isdisjoint(path.parents):
            yield f"{path}: no manifest lists this file: its job did not finish; run the study again"


def main(arguments: list[str] | None = None) -> None:
    """List all damage in the results, one line each; exit with 1 if there is any.

    Args:
        arguments: of the command line; None for the process's own.
    """
    parser = argparse.ArgumentParser(prog="python -m unlearnable.tools.verify", description="Are the results intact?")
    parser.add_argument("--directory", type=Path, default=Path(), help="the working directory, which holds the results")
    options = parser.parse_args(arguments)
    try:
        count = _verify(options.directory)
    except UserError as error:
        sys.exit(printable(str(error)))
    sys.exit(1 if count else 0)


def _verify(directory: Path) -> int:
    """Print all damage in the results, and a verdict.

    Returns:
        How much is damaged.

    Raises:
        UserError: there are no results, or the file that tells what runs here cannot be read.
    """
    where = directory / "results"
    results = results_of(where)
    if not results:
        raise UserError(f"{where}: there are no results here; copy those in a storage here first")
    count = 0
    for line in damages(results):
        print(printable(line), flush=True)  # the name of a file may hold anything, ends of lines too
        count += 1
    if count and anything_running(directory):
        print("Jobs are running here: files not yet listed in a manifest may be theirs.")
    verdict = f"{count:,} damaged" if count else "all intact"
    print(printable(f"{len(results):,} files in {where}: {verdict}"))
    return count


if __name__ == "__main__":
    main()
