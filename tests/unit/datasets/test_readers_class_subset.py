"""Some classes of another dataset: which images are kept, under which labels, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unlearnable import registry
from unlearnable.datasets import read as reading
from unlearnable.datasets.readers.class_subset import reader
from unlearnable.datasets.readers.class_subset.settings import ClassSubset
from unlearnable.datasets.size import COUNTED, Size, size_hint
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import Stream
from unlearnable.errors import UserError

NAMES = ["cat", "dog", "owl"]
ROWS = 12


def described(classes: list[str], of: dict[str, Any] | None = None, **keys: Any) -> ClassSubset:
    whole = {"kind": "parquet", "root": "set", "image_size": 8, "channels": 1, "classes": NAMES} | (of or {})
    about = {"kind": "class-subset", "image_size": 8, "channels": 1, "classes": classes, "of": whole} | keys
    return ClassSubset.model_validate(about)


def taken(stream: Stream) -> tuple[Array, Array]:
    return np.concatenate([*stream.chunks()]), stream.labels


@pytest.fixture
def stored(
    tmp_path: Path,
    make_split: Callable[..., Split],
    encode_png: Callable[[Array], bytes],
    write_parquet_images: Callable[..., None],
) -> Split:
    split = make_split(ROWS)
    images = [encode_png(image) for image in split.images[:]]
    for name in ("train", "test"):
        write_parquet_images(tmp_path / "set" / f"{name}.parquet", images, split.labels.tolist())
    return split


@pytest.mark.parametrize("classes", [["cat", "dog"], ["owl", "cat"], ["dog", "owl", "cat"]])
def test_the_images_of_some_classes_get_the_labels_of_their_order(
    stored: Split, tmp_path: Path, classes: list[str]
) -> None:
    train, test, provenance = reading.read(described(classes), tmp_path, tmp_path)
    rows = [row for row, label in enumerate(stored.labels) if NAMES[label] in classes]
    for stream in (train, test):
        images, labels = taken(stream)
        assert np.array_equal(images, stored.images[:][rows])
        assert [classes[label] for label in labels] == [NAMES[stored.labels[row]] for row in rows]
    assert provenance["of"]["kind"] == "parquet"


def test_the_whole_is_selected_from_before_and_the_part_after(stored: Split, tmp_path: Path) -> None:
    some = described(["owl", "cat"], {"validation": 3}, train_images=4)
    train, test, _ = reading.read(some, tmp_path, tmp_path)
    assert np.bincount(train.labels).tolist() == [2, 2]
    assert np.bincount(test.labels).tolist() == [1, 1]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40), st.integers(1, 7), st.permutations(NAMES))
def test_any_pieces_give_what_picking_all_at_once_gives(drawn: list[int], size: int, order: list[str]) -> None:
    labels, some = np.array([0, 1, 2, *drawn]), described(order[:2])
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    pieces = [images[start : start + size] for start in range(0, len(labels), size)]
    stream = reader._some(Stream("here", labels, lambda: iter(pieces)), some)
    found, renamed = taken(stream)
    kept = np.isin(labels, some.labels)
    assert np.array_equal(found, images[kept])
    assert [some.labels[label] for label in renamed] == labels[kept].tolist()


def test_its_images_are_counted_by_their_labels_and_nothing_is_downloaded(stored: Split, tmp_path: Path) -> None:
    found = size_hint(described(["owl", "cat"]), tmp_path)
    count = int((stored.labels != 1).sum())
    assert found == Size(count, count, COUNTED)
    cifar = registry.validated("readers", {"kind": "cifar", "variant": "cifar10", "image_size": 32, "classes": NAMES})
    part = described(["cat", "dog"]).model_copy(update={"of": cifar})
    assert size_hint(part, tmp_path).train is None


def test_a_label_that_the_whole_does_not_name_is_refused(stored: Split, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="label 2 is outside"):
        reading.read(described(["cat", "dog"], {"classes": ["cat", "dog"]}), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["cat", "cow"]}, "'cow' is no class of the dataset it is a part of; known: cat, dog, owl"),
        ({"image_size": 16}, "image_size is 16, but that of the dataset it is a part of is 8"),
        ({"channels": 3}, "channels is 3, but that of the dataset it is a part of is 1"),
    ],
)
def test_what_does_not_fit_the_whole_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        described(**({"classes": ["cat", "dog"]} | change))


def test_it_is_found_by_its_kind() -> None:
    assert registry.settings("readers", "class-subset") is ClassSubset
