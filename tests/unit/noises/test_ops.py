"""The one-pixel shortcut."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Array, Split
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.ops import noise as ops
from unlearnable.noises.ops.settings import Ops

CPU = torch.device("cpu")


def task(classes: int, **changes: Any) -> Problem[Ops]:
    return Problem(Ops(algorithm="ops", **changes), 0, 0, Augmentation(), classes)


def shortcuts(train: Split, seed: int = 0, **changes: Any) -> ops.Shortcuts:
    return ops.basis(None, train, task(len(train.classes), **changes), seed, CPU)


def places(found: ops.Shortcuts) -> list[tuple[int, int, tuple[float, ...]]]:
    """Row, column and colour of each class."""
    colours = [tuple(colour) for colour in found.colours.tolist()]
    return list(zip(found.rows.tolist(), found.columns.tolist(), colours, strict=True))


def best_by_hand(images: Array, score: str = "mean/variance") -> tuple[int, int, tuple[float, ...]]:
    """Equation 2 in [0, 1], candidate by candidate; or the authors' code's score, which does not sum the channels."""
    _, height, width, channels = images.shape
    quotients = {}
    for row, column in itertools.product(range(height), range(width)):
        for colour in itertools.product((0.0, 1.0), repeat=channels):
            terms = np.abs(images[:, row, column] / 255 - colour)
            distance = terms.sum(axis=1)
            quotient = distance.mean() / distance.var() if score == "mean/variance" else terms.mean() / terms.std()
            quotients[row, column, tuple(255 * value for value in colour)] = quotient
    return max(quotients, key=lambda place: quotients[place])


@pytest.mark.parametrize("channels", [1, 3])
@given(seed=st.integers(0, 1000))
def test_pixel_and_colour_maximise_the_papers_quotient(
    channels: int, seed: int, make_split: Callable[..., Split]
) -> None:
    train = make_split(24, channels, seed)
    found = places(shortcuts(train))
    expected = [best_by_hand(train.images[:][train.labels == label]) for label in range(3)]
    if len(set(expected)) == 3:  # else a later class takes its next best
        assert found == expected


@pytest.mark.parametrize("channels", [1, 3])
@given(seed=st.integers(0, 1000))
def test_the_authors_codes_score_is_there_to_choose(channels: int, seed: int, make_split: Callable[..., Split]) -> None:
    train = make_split(24, channels, seed)
    found = places(shortcuts(train, score="mean/std"))
    expected = [best_by_hand(train.images[:][train.labels == label], "mean/std") for label in range(3)]
    if len(set(expected)) == 3:  # else a later class takes its next best
        assert found == expected


def test_the_two_scores_choose_differently(make_split: Callable[..., Split]) -> None:
    train = make_split(24, 3)
    assert places(shortcuts(train)) != places(shortcuts(train, score="mean/std"))


def test_where_every_term_is_alike_the_authors_codes_score_is_infinite(make_split: Callable[..., Split]) -> None:
    images = make_split(40, 3).images[:]
    images[:, 3, 3] = 100  # alike in all images and channels: at 155 from white, at 100 from black
    images[:, 5, 2] = (10, 20, 30)  # alike in all images alone
    one = Split(images, np.zeros(40, np.int64), ["all"])
    assert places(shortcuts(one, score="mean/std")) == [(3, 3, (255.0, 255.0, 255.0))]


def test_the_published_images_have_the_colour_there_and_are_unchanged_elsewhere(
    make_split: Callable[..., Split],
) -> None:
    train = make_split(30, 3)
    found = shortcuts(train)
    images, labels = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(train.labels)
    d = ops.noise(found, Batch(images, labels, task(3), torch.Generator()))
    for image, published, label in zip(images, images + d, train.labels, strict=True):
        row, column, colour = places(found)[label]
        assert published[:, row, column].tolist() == list(colour)
        published[:, row, column] = image[:, row, column]
        assert torch.equal(published, image)


class Recorded:
    """Images that tell which rows were asked for."""

    def __init__(self, images: Array) -> None:
        self.images = images
        self.asked: list[list[int]] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | Array, /) -> Array:
        self.asked.append(np.arange(len(self))[rows].tolist())
        return self.images[rows]


def test_images_are_read_once_in_chunks(make_split: Callable[..., Split], monkeypatch: pytest.MonkeyPatch) -> None:
    train = make_split(50, 3)
    whole = places(shortcuts(train))
    monkeypatch.setattr(ops, "CHUNK", 4 * 8 * 8 * 3 + 5)
    images = Recorded(train.images[:])
    assert places(shortcuts(Split(images, train.labels, train.classes))) == whole
    assert max(len(rows) for rows in images.asked) == 4
    assert sorted(row for rows in images.asked for row in rows) == list(range(50))


def test_where_all_images_are_alike_the_largest_distance_decides_then_the_place(
    make_split: Callable[..., Split],
) -> None:
    train = make_split(40)
    images = train.images[:]
    images[:, 0, :] = 100  # alike everywhere in the first row, at 155 from white
    images[:, 2:4, 1] = 220  # and here at 220 from black
    images[:, 1:4, 3] = 220  # and here, of which the last is farthest from the border
    one = Split(images, np.zeros(40, np.int64), ["all"])
    assert all(places(shortcuts(one, seed)) == [(3, 3, (0.0,))] for seed in range(8))


def test_no_two_classes_share_pixel_and_colour() -> None:
    images = np.zeros((60, 8, 8, 1), np.uint8)
    train = Split(images, np.arange(60) % 30, [str(label) for label in range(30)])
    found = places(shortcuts(train))
    assert len(set(found)) == 30
    assert {colour for _, _, colour in found} == {(255.0,)}
    assert found != places(shortcuts(train, seed=1))
