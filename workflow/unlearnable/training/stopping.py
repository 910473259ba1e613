"""Clean test images that choose when a victim's training stops, left out of all reported accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unlearnable.datasets.split import Chosen, Split, stratified_order
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator


def without_stopping_images(test: Split, share: float) -> tuple[Split, Split | None]:
    """The test images that are reported on, and those that choose the step at which training stops.

    Both are class-balanced like the whole, and the same for every victim of a dataset.

    Args:
        test: the clean test images.
        share: of them that choose the step, 0 <= share < 1; with 0 there are none, and all are reported on.

    Raises:
        UserError: a class would be left without an image in one of the two.
    """
    if share == 0:
        return test, None
    order = stratified_order(test.labels, numpy_generator(0, "stopping split"))
    count = round(share * len(order))
    stopping, reported = (_chosen(test, np.sort(rows)) for rows in (order[:count], order[count:]))
    for split, what in ((stopping, "choose the step"), (reported, "are reported on")):
        if len(np.unique(split.labels)) < len(test.classes):
            raise UserError(
                f"victim.stopping_share: with {share:g}, {len(split.labels)} of {len(test.labels)} test images {what}, "
                f"and not every one of {len(test.classes)} classes is among them; use another share, or 0"
            )
    return reported, stopping


def stopped_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The row of a history with the highest accuracy on the images that choose the step, the first of equal ones.

    Args:
        rows: of the history, with a ``stopping_accuracy`` each.
    """
    return max(rows, key=lambda row: row["stopping_accuracy"])


def _chosen(test: Split, rows: np.ndarray[Any, Any]) -> Split:
    return Split(Chosen(test.images, rows), test.labels[rows], test.classes)
