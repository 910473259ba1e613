"""The shuffled noise: whose noise each image carries."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError
from unlearnable.noises.method import Batch, Problem, method_of
from unlearnable.noises.shuffled.settings import Shuffled

Among = Literal["other-class", "same-class"]


def problem(among: Among) -> Problem[Any]:
    return Problem(Shuffled(algorithm="shuffled", of="em", among=among), 8, 0, Augmentation(), 3)


def order(labels: Array, among: Among, seed: int = 0) -> Array:
    task = problem(among)
    return method_of(task.settings).order(labels, task, seed)


def labels_of(counts: list[int], seed: int = 0) -> Array:
    """As many labels of each class, in random order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@given(counts=st.lists(st.integers(2, 12), min_size=1, max_size=6), seed=st.integers(0, 2**31 - 1))
def test_within_classes_every_noise_is_used_once_and_nobody_keeps_its_own(counts: list[int], seed: int) -> None:
    labels = labels_of(counts, seed)
    partners = order(labels, "same-class", seed)
    assert sorted(partners) == list(range(len(labels)))
    assert (partners != np.arange(len(labels))).all()
    assert (labels[partners] == labels).all()


@given(counts=st.lists(st.integers(1, 12), min_size=2, max_size=6), seed=st.integers(0, 2**31 - 1))
def test_across_classes_nobody_has_its_own_class_and_noises_are_used_as_evenly_as_can_be(
    counts: list[int], seed: int
) -> None:
    labels = labels_of(counts, seed)
    partners = order(labels, "other-class", seed)
    assert (labels[partners] != labels).all()
    uses = np.bincount(partners, minlength=len(labels))
    largest, rows = max(counts), len(labels)
    if 2 * largest <= rows:
        assert (uses == 1).all()
    else:  # the noises of the others go round among the images of this class, and its own among the others
        majority = labels == np.argmax(counts)
        assert uses[~majority].max() - uses[~majority].min() <= 1
        assert uses[~majority].sum() == largest
        assert uses[majority].max() <= 1


def test_across_classes_the_noise_does_not_tell_the_class_beyond_not_being_its_own() -> None:
    """If all images of a class carried the noise of one other class, the noise would still tell the classes apart."""
    labels = labels_of([1000] * 5)
    partners = order(labels, "other-class")
    met = np.zeros((5, 5), int)
    np.add.at(met, (labels, labels[partners]), 1)
    assert (met.diagonal() == 0).all()
    off = met[~np.eye(5, dtype=bool)]
    assert (np.abs(off - 250) < 5 * np.sqrt(250)).all()


@pytest.mark.parametrize("among", ["other-class", "same-class"])
def test_the_order_depends_on_the_seed_alone(among: Among) -> None:
    labels = labels_of([20, 20, 20])
    np.random.seed(0)
    first = order(labels, among)
    np.random.seed(1)
    assert np.array_equal(order(labels, among), first)
    assert not np.array_equal(order(labels, among, seed=1), first)


def test_an_image_alone_in_its_class_has_no_partner_there() -> None:
    labels = np.array([0, 1, 0, 2, 2])
    with pytest.raises(UserError, match=r"image 1 is the only one of class 1, .*set among: other-class"):
        order(labels, "same-class")
    assert (labels[order(labels, "other-class")] != labels).all()


def test_a_single_class_has_no_other() -> None:
    with pytest.raises(UserError, match=r"all images are of class 0, .*set among: same-class"):
        order(np.zeros(4, int), "other-class")


def test_it_gives_what_was_read_for_the_batch_and_nothing_of_its_own() -> None:
    task = problem("other-class")
    images, labels, read = torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]), torch.full((2, 1, 4, 4), 3.0)
    batch = Batch(images, labels, task, torch.Generator(), read)
    assert torch.equal(method_of(task.settings).noise(None, batch), read)
    with pytest.raises(ValueError, match="needs the noise that it is made of"):
        method_of(task.settings).noise(None, Batch(images, labels, task, torch.Generator()))


def test_it_is_a_control_without_a_descent_to_check() -> None:
    settings = problem("same-class").settings
    assert (settings.control, settings.made_of, settings.source) == (True, "em", "none")
    assert not method_of(settings).descends
