"""``make verify``: compare every result with the hash recorded by its job, and with what it was made from."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unlearnable import files, recipe
from unlearnable.errors import UserError, printable, regenerate
from unlearnable.jobs.presence import anything_running
from unlearnable.products import benchmark_files

OF_RESULTS = (
    "dataset",
    "source_model",
    "noise",
    "perturbed",
    "release_record",
    "victim",
    "tables",
    "figures",
    "benchmark",
)
REPORT_SECONDS = 5.0
GB = 10**9


@dataclass
class Recorded:
    """The content of all manifests among the results, and which of them are damaged.

    Attributes:
        hashes: for every listed file, its manifest and its SHA-256.
        manifests: the intact manifests and measurements, each with a digest of the files that it lists.
        damaged: the damaged ones, each with its fault.
        misplaced: a line for every manifest that belongs elsewhere.
        read: for every manifest, the manifests that its job read, each with the digest that it had then.
    """

    hashes: dict[Path, tuple[Path, str]] = field(default_factory=dict)
    manifests: dict[Path, str] = field(default_factory=dict)
    damaged: dict[Path, str] = field(default_factory=dict)
    misplaced: list[str] = field(default_factory=list)
    read: dict[Path, dict[Path, str]] = field(default_factory=dict)

    def mixed(self) -> Iterator[str]:
        """A line for every result that was made from other files than those that lie here now."""
        for path, inputs in self.read.items():
            for source, digest in inputs.items():
                if self.manifests.get(source, digest) != digest:
                    yield f"{path}: was made from other files than those that {source} lists now; {regenerate(path)}"


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
    """Read the JSON files among the results, and Snakemake's measurements."""
    found = Recorded()
    for path in results:
        try:
            if path.suffix == ".json":
                content = files.read_json(path)
                hashes = files.listed_hashes(path, content)
            elif path.suffix == ".jsonl":  # Snakemake's own: without checksum, and lists no files
                benchmark_files.read_benchmark(path)
                content, hashes = {}, {}
            else:
                continue
        except UserError as error:
            found.damaged[path] = str(error)
        except OSError as error:
            found.damaged[path] = f"{path}: cannot be read ({error.strerror}); {regenerate(path)}"
        else:
            found.manifests[path] = recipe.contents(content)
            found.hashes |= {path.parent / name: (path, expected) for name, expected in hashes.items()}
            wrong = recipe.misplaced(path, content)
            if wrong is not None:
                found.misplaced.append(wrong)
            own = recipe.from_results(path)
            if own is not None:
                above = path.parents[len(own.parts) - 1]  # the folder that holds results/
                found.read[path] = {above / name: digest for name, digest in recipe.read_by(content).items()}
    return found


def _size(path: Path) -> int:
    """Bytes of a regular file; 0 of anything else, and of what cannot be looked at."""
    return path.stat().st_size if os.path.isfile(path) else 0


def damages(results: list[Path]) -> Iterator[str]:
    """One line for everything damaged or missing among the results, as soon as it is found.

    Each file is read once, piece by piece; progress goes to stderr.
    """
    known = recorded(results)
    yield from known.damaged.values()
    yield from known.misplaced
    yield from known.mixed()
    total = sum(map(_size, known.hashes))
    done, reported = 0, time.monotonic()
    for number, (path, (manifest, expected)) in enumerate(known.hashes.items()):
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            counts = f"{number:,} of {len(known.hashes):,} files, {done / GB:.1f} of {total / GB:.1f} GB"
            print(counts, file=sys.stderr, flush=True)
        problem = files.damage(path, expected)
        if problem is not None:
            yield f"{path}: {problem}; {regenerate(manifest)}"
        done += _size(path)
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
