"""The test images that choose a step and those that are reported on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.training.stopping import stopped_row, without_stopping_images


def split(counts: list[int]) -> Split:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)  # each is its row's number
    return Split(images, labels, [f"c{label}" for label in range(len(counts))])


def rows_of(part: Split) -> list[int]:
    return part.images[np.arange(len(part.labels))].ravel().tolist()


@given(st.lists(st.integers(20, 40), min_size=2, max_size=5), st.floats(0.1, 0.5))
def test_the_parts_are_disjoint_complete_balanced_and_always_the_same(counts: list[int], share: float) -> None:
    test = split(counts)
    reported, stopping = without_stopping_images(test, share)
    assert stopping is not None
    assert sorted(rows_of(reported) + rows_of(stopping)) == list(range(len(test.labels)))
    assert rows_of(reported) == sorted(rows_of(reported))
    for part in (reported, stopping):
        assert (test.labels[rows_of(part)] == part.labels).all()
    expected = share * np.array(counts)
    assert (abs(np.bincount(stopping.labels) - expected) <= 2).all()
    again = without_stopping_images(split(counts), share)[1]
    assert again is not None
    assert rows_of(again) == rows_of(stopping)


def test_without_a_share_all_images_are_reported_on() -> None:
    test = split([3, 3])
    assert without_stopping_images(test, 0) == (test, None)


def test_a_share_that_leaves_a_class_without_images_is_refused() -> None:
    with pytest.raises(UserError, match=r"stopping_share: with 0.1, 1 of 6 test images choose the step, and not every"):
        without_stopping_images(split([3, 3]), 0.1)


def test_the_first_of_equally_good_steps_is_chosen() -> None:
    rows = [{"step": step, "stopping_accuracy": value} for step, value in ((1, 0.2), (2, 0.5), (3, 0.5), (4, 0.1))]
    assert stopped_row(rows)["step"] == 2
