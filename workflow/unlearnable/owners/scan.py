"""Everything that an owner's folder holds: the images that can be protected, and all faults together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from unlearnable.datasets.readers._decoding import WORKERS
from unlearnable.datasets.settings import nfc
from unlearnable.errors import UserError
from unlearnable.owners.image_file import ImageFile, inspect
from unlearnable.owners.structure import Entry, Fault, Structure, bad_name, read_structure

HELD_OUT_SHARE = 5  # one image of each class in so many is held out for an audit
FEWEST_TO_HOLD_OUT = 5  # images of a class


@dataclass(frozen=True)
class Found:
    """An image that can be protected.

    Attributes:
        entry: its file and label.
        image: what it is.
    """

    entry: Entry
    image: ImageFile


@dataclass
class Scan:
    """What an owner's folder holds.

    Attributes:
        root: the folder that files are named from.
        images: those that can be protected, in the order of their names or of the index.
        faults: everything else, by name.
        ignored: what operating systems left there, and files that are no images beside the class folders.
    """

    root: Path
    images: list[Found] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Names of the classes of the images, sorted."""
        return sorted({found.entry.label for found in self.images})


def scan(
    given: Path,
    elsewhere: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scan:
    """Look at every file of an owner's folder.

    Args:
        given: the folder, or an index of it.
        elsewhere: releases by the SHA-256 of the originals that they protect; these are not protected a second time.
        progress: told how many of how many files are done.

    Raises:
        UserError: the folder has no labels, or all of its images are of one class.
    """
    return scan_structure(read_structure(given), elsewhere, progress)


def scan_structure(
    structure: Structure,
    elsewhere: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scan:
    """Look at every file of a structure; arguments and errors as for ``scan``."""
    result = Scan(structure.root, faults=list(structure.faults), ignored=structure.ignored)
    kept = _well_named(structure, result)
    by_content: dict[str, Found] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        paths = (structure.root / entry.file for entry in kept)
        for done, (entry, image) in enumerate(zip(kept, pool.map(inspect, paths), strict=True), start=1):
            progress(done, len(kept))
            if isinstance(image, str):
                result.faults.append(Fault(entry.file, image))
                continue
            found = Found(entry, image)
            first = by_content.setdefault(image.sha256, found)
            if first is not found:
                other = "" if first.entry.label == entry.label else f", whose label is {first.entry.label!r}"
                result.faults.append(Fault(entry.file, f"the same content as {first.entry.file}{other}; remove one"))
            elif elsewhere and image.sha256 in elsewhere:
                why = "two versions of an image can be averaged, so hand out that one"
                result.faults.append(Fault(entry.file, f"is in the release {elsewhere[image.sha256]} already; {why}"))
            else:
                result.images.append(found)
    result.faults.sort(key=lambda fault: fault.file)
    trained = {found.entry.label for found in result.images if not found.entry.test}
    if len(trained) < 2 and not result.faults:
        some = f"{len(trained)} class{'es' * (not trained)} with images"
        raise UserError(f"{structure.root}: {some}; at least two are needed")
    return result


def _well_named(structure: Structure, result: Scan) -> list[Entry]:
    """The files whose names can be in a release and differ in more than the form of their accents."""
    kept, forms = [], dict[str, str]()
    for entry in structure.entries:
        wrong = bad_name(entry.file)
        first = forms.setdefault(nfc(entry.file), entry.file)
        if wrong is None and first != entry.file:
            wrong = "another file has the same name, with accents stored differently; rename one"
        if wrong is None:
            kept.append(entry)
        else:
            result.faults.append(Fault(entry.file, wrong))
    return kept


def held_out(images: list[Found]) -> list[str]:
    """The images on which an audit tests: of each class the first fifth by their content, at least one.

    None of a class of fewer than five. What is held out does not depend on names, and hardly on other images.

    Returns:
        Their files, by class and hash.
    """
    counts = Counter(found.entry.label for found in images)
    chosen: Counter[str] = Counter()
    files = []
    for found in sorted(images, key=lambda found: (found.entry.label, found.image.sha256)):
        label = found.entry.label
        if counts[label] >= FEWEST_TO_HOLD_OUT and chosen[label] < max(1, counts[label] // HELD_OUT_SHARE):
            chosen[label] += 1
            files.append(found.entry.file)
    return files
