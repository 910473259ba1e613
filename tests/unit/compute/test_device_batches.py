"""Batches on the device: the same images and labels in the same order, wherever the images are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from unlearnable.compute import memory
from unlearnable.compute.device_batches import AHEAD, Feed
from unlearnable.datasets.shards import load
from unlearnable.datasets.split import Array, Images, Split

CPU = torch.device("cpu")
ROWS = 40
PLACES = ["in memory", "in shards", "larger than memory", "shards larger than memory"]


@pytest.fixture
def larger_than_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose memory holds no image, so that a thread reads ahead."""
    monkeypatch.setattr(memory, "free_bytes", lambda device: 0)


@pytest.fixture(params=PLACES)
def split(
    request: pytest.FixtureRequest,
    make_split: Callable[..., Split],
    store: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Split:
    """The same images, here and there."""
    if "larger" in request.param:
        monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    made = make_split(ROWS, 3)
    return load(store(made), "train") if "shards" in request.param else made


class Watched:
    """Images that record which rows were asked for and by which thread, and fail on one of them."""

    def __init__(self, images: Images, bad: int = -1) -> None:
        self.shape = images.shape
        self.asked: list[list[int]] = []
        self.threads: set[int] = set()
        self._images, self._bad = images, bad

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: slice | Array) -> Array:
        assert isinstance(rows, np.ndarray)
        self.asked.append(rows.tolist())
        self.threads.add(threading.get_ident())
        if self._bad in rows:
            raise OSError(f"image {self._bad} is not readable")
        return self._images[rows]


def orders(batch: int = 7) -> list[Array]:
    """Two epochs of batches in a random order, the last of each smaller."""
    draws = np.random.default_rng(3)
    return [part for _ in range(2) for part in np.split(draws.permutation(ROWS), range(batch, ROWS, batch))]


def test_batches_are_the_images_and_labels_of_their_rows(split: Split, make_split: Callable[..., Split]) -> None:
    made = make_split(ROWS, 3)
    feed = Feed(split, CPU)
    batches = list(feed.batches(orders()))
    assert len(batches) == len(orders())
    for (x, y, rows), chosen in zip(batches, orders(), strict=True):
        assert x.dtype == torch.uint8
        assert x.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(x.numpy().transpose(0, 2, 3, 1), made.images[chosen])
        assert y.tolist() == made.labels[chosen].tolist()
        assert rows.tolist() == chosen.tolist()
    assert len(feed) == ROWS
    assert feed.shape == (3, 8, 8)
    assert feed.labels.tolist() == made.labels.tolist()


def test_the_network_sees_images_in_the_order_channel_row_column(make_split: Callable[..., Split]) -> None:
    split = make_split(4, 3)
    ((images, labels, _),) = Feed(split, CPU).batches([np.arange(4)])
    assert images.shape == (4, 3, 8, 8)
    assert int(images[2, 1, 5, 6]) == int(split.images[:][2, 5, 6, 1])
    assert labels.tolist() == split.labels.tolist()


def test_batches_may_be_changed_without_changing_the_images(split: Split, make_split: Callable[..., Split]) -> None:
    feed = Feed(split, CPU)
    for x, _, _ in feed.batches(orders()):
        x.fill_(0)
    assert np.array_equal(split.images[:], make_split(ROWS, 3).images[:])


def test_images_that_fit_into_memory_are_read_when_they_are_due(make_split: Callable[..., Split]) -> None:
    images = Watched(make_split(ROWS).images)
    batches = Feed(Split(images, make_split(ROWS).labels, []), CPU).batches(orders())
    for number, _ in enumerate(batches, start=1):
        assert len(images.asked) == number
    assert images.threads == {threading.get_ident()}


@pytest.mark.usefixtures("larger_than_memory")
def test_images_larger_than_memory_are_read_ahead_but_not_far(make_split: Callable[..., Split]) -> None:
    images = Watched(make_split(ROWS).images)
    taken: list[int] = []

    def rows() -> Iterator[Array]:
        for number, chosen in enumerate(orders()):
            taken.append(number)
            yield chosen

    for number, _ in enumerate(Feed(Split(images, make_split(ROWS).labels, []), CPU).batches(rows())):
        assert len(taken) == min(number + 1 + AHEAD, len(orders()))
        assert len(images.asked) <= len(taken)
    assert images.asked == [chosen.tolist() for chosen in orders()]
    assert len(images.threads) == 1
    assert threading.get_ident() not in images.threads


@pytest.mark.usefixtures("larger_than_memory")
def test_leaving_early_ends_the_thread(make_split: Callable[..., Split]) -> None:
    feed, before = Feed(make_split(ROWS), CPU), threading.active_count()

    batches = feed.batches(orders())
    next(batches)
    assert threading.active_count() == before + 1
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before

    for _ in feed.batches(orders()):
        break
    assert threading.active_count() == before

    def fail() -> None:
        for _ in feed.batches(orders()):
            raise KeyError("of the consumer")

    with pytest.raises(KeyError, match="of the consumer"):
        fail()
    assert threading.active_count() == before
    assert sum(len(x) for x, _, _ in feed.batches(orders())) == 2 * ROWS
    assert threading.active_count() == before


@pytest.mark.parametrize("available", [0, 2**40])
def test_an_image_that_cannot_be_read_fails_the_batch_it_is_in(
    available: int, make_split: Callable[..., Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda device: available)
    before, made = threading.active_count(), make_split(ROWS)
    bad = int(orders()[4][2])
    batches = Feed(Split(Watched(made.images, bad), made.labels, []), CPU).batches(orders())
    received = [next(batches) for _ in range(4)]
    assert [rows.tolist() for _, _, rows in received] == [chosen.tolist() for chosen in orders()[:4]]
    with pytest.raises(OSError, match=f"image {bad} is not readable"):
        next(batches)
    assert threading.active_count() == before


@pytest.mark.usefixtures("larger_than_memory")
def test_an_order_that_fails_fails_the_consumer(make_split: Callable[..., Split]) -> None:
    def rows() -> Iterator[Array]:
        yield from orders()[:3]
        raise RuntimeError("of the order")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="of the order"):
        list(Feed(make_split(ROWS), CPU).batches(rows()))
    assert threading.active_count() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_batches_whether_the_split_fits_or_not(
    make_split: Callable[..., Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    split, gpu = make_split(ROWS, 3), torch.device("cuda")
    expected = list(Feed(split, CPU).batches(orders()))
    for available in (2**40, 0):
        monkeypatch.setattr(memory, "free_bytes", lambda device, available=available: available)
        for found, wanted in zip(Feed(split, gpu).batches(orders()), expected, strict=True):
            assert all(tensor.device.type == "cuda" for tensor in found)
            assert all(torch.equal(tensor.cpu(), w) for tensor, w in zip(found, wanted, strict=True))
            assert found[0].stride() == wanted[0].stride()
