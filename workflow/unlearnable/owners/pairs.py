"""Released images and their originals, and which of them an audit trains and tests on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from unlearnable.datasets import released
from unlearnable.datasets.readers._decoding import Fit, file_content, pixels
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError
from unlearnable.owners.scan import FEWEST_TO_HOLD_OUT, Found, Scan, held_out
from unlearnable.owners.structure import Fault

ORIGINALS, RELEASED = "originals", "released"  # how names of files begin
THUMBNAIL = Fit(16, 3, True)  # by which images are compared
ALIKE = 24  # grey levels: a root-mean-square difference of thumbnails beyond it is that of two images


@dataclass(frozen=True)
class Pair:
    """A released image and the one that it was made from."""

    original: Found
    released: Found


@dataclass
class Audited:
    """What an audit trains and tests on.

    Attributes:
        classes: names of the classes, sorted.
        train: pairs to train on, in the order of the originals.
        test: originals to test on, of each class the first by content.
        left_out: everything else, by name; those of files begin with ``originals/`` or ``released/``.
    """

    classes: list[str]
    train: list[Pair]
    test: list[Found]
    left_out: list[Fault] = field(default_factory=list)


def audited(originals: Scan, release: Scan) -> Audited:
    """Choose what an audit trains and tests on.

    An owner's own test images are tested on if there are any; otherwise the images that ``held_out`` names, whose
    released files are left out of the training.

    Args:
        originals: all images of the owner's folder.
        release: all images of the release.

    Raises:
        UserError: fewer than two classes have images both to train and to test on.
    """
    pairs, left_out = paired(originals, release)
    left_out += [Fault(f"{ORIGINALS}/{fault.file}", fault.reason) for fault in originals.faults]
    left_out += [Fault(f"{RELEASED}/{fault.file}", fault.reason) for fault in release.faults]
    tests = [found for found in originals.images if found.entry.test]
    too_few = "has no image to train on, or none to test on, so the class is left out"
    if not tests:
        too_few = f"has fewer than {FEWEST_TO_HOLD_OUT} released images, so the class is left out"
        names = set(held_out([pair.original for pair in pairs]))
        tests = [pair.original for pair in pairs if pair.original.entry.file in names]
    tested = {found.entry.file for found in tests}
    train = [pair for pair in pairs if pair.original.entry.file not in tested]
    classes = {found.entry.label for found in tests} & {pair.original.entry.label for pair in train}
    counts = Counter(found.entry.label for found in [*(pair.original for pair in pairs), *tests])
    for label in sorted(counts.keys() - classes):
        left_out.append(Fault(f"class {label}", too_few))
    if len(classes) < 2:
        raise UserError(
            f"{release.root}: {len(classes)} classes have images to train and to test on, and an audit needs two: "
            f"{FEWEST_TO_HOLD_OUT} released images each whose originals are in {originals.root}"
        )
    return Audited(
        sorted(classes),
        [pair for pair in train if pair.original.entry.label in classes],
        sorted((found for found in tests if found.entry.label in classes), key=_by_content),
        sorted(left_out, key=lambda fault: fault.file),
    )


def _by_content(found: Found) -> tuple[str, str]:
    return found.entry.label, found.image.sha256


def paired(originals: Scan, release: Scan) -> tuple[list[Pair], list[Fault]]:
    """Find the original of every released image: by its path, with or without suffixes, or else by what it shows.

    Returns:
        The pairs, in the order of the originals, and the files without a partner.
    """
    train = {found.entry.file: found for found in originals.images if not found.entry.test}
    to_pair = [found for found in release.images if not found.entry.test]
    by_stem: dict[str, list[str]] = {}
    for file in train:
        by_stem.setdefault(_stem(file), []).append(file)
    known = {found.entry.file: _named(found.entry.file, originals.root, by_stem) for found in to_pair}
    nameless = [found for found in to_pair if known[found.entry.file] is None]
    named = set(known.values())
    free = [found for file, found in train.items() if file not in named]
    known |= _by_picture(nameless, release.root, free, originals.root)
    chosen: dict[str, Found] = {}
    left_out: list[Fault] = []
    for found in to_pair:
        file, name = found.entry.file, known[found.entry.file]
        if name is None:
            reason = "no original has this path, and none of its class looks like it"
        elif train[name].entry.label != found.entry.label:
            reason = f"its label is {found.entry.label!r}, and that of its original {train[name].entry.label!r}"
        elif name in chosen:
            reason = f"a second version of {name}, beside {chosen[name].entry.file}"
        else:
            chosen[name] = found
            continue
        left_out.append(Fault(f"{RELEASED}/{file}", reason))
    left_out += [Fault(f"{ORIGINALS}/{file}", "not in the release") for file in train if file not in chosen]
    return [Pair(found, chosen[file]) for file, found in train.items() if file in chosen], left_out


def _stem(file: str) -> str:
    return PurePosixPath(file).with_suffix("").as_posix()


def _named(file: str, root: Path, by_stem: Mapping[str, Sequence[str]]) -> str | None:
    """The original of a released file by its path; None if there is none, or several."""
    try:
        name = released.original_of(file, root).relative_to(root).as_posix()
    except UserError:
        alike = by_stem.get(_stem(file), ())
        return alike[0] if len(alike) == 1 else None
    return name if name in by_stem.get(_stem(name), ()) else None


def _by_picture(
    nameless: Sequence[Found], root: Path, free: Sequence[Found], originals: Path
) -> Iterator[tuple[str, str | None]]:
    """Released files with originals of the same class that look like them: each is the other's nearest."""
    for label in sorted({found.entry.label for found in nameless} & {found.entry.label for found in free}):
        ours = [found for found in nameless if found.entry.label == label]
        theirs = [found for found in free if found.entry.label == label]
        far = _distances(_thumbnails(ours, root), _thumbnails(theirs, originals))
        nearest, back = far.argmin(axis=1), far.argmin(axis=0)
        for place, found in enumerate(ours):
            if back[nearest[place]] == place and far[place, nearest[place]] <= ALIKE:
                yield found.entry.file, theirs[nearest[place]].entry.file


def _thumbnails(images: Sequence[Found], root: Path) -> Array:
    """``(n, values)`` float32."""
    read = []
    for found in images:
        path = root / found.entry.file
        read.append(pixels(file_content(path, THUMBNAIL.require_bytes), str(path), THUMBNAIL).reshape(-1))
    return np.stack(read).astype(np.float32)


def _distances(ours: Array, theirs: Array) -> Array:
    """Root-mean-square differences of all pairs, ``(n, m)``."""
    squares = (ours**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1) - 2 * ours @ theirs.T
    return np.sqrt(np.maximum(squares, 0) / ours.shape[1])  # type: ignore[no-any-return]
