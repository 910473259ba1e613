"""Accuracy of the victims over their steps."""

from __future__ import annotations

from typing import Any

from unlearnable.products.curves import _two_columns


def training_curves(
    config: dict[str, Any], histories: list[str], metrics: list[str], pdf: str, svg: str, png: str
) -> None:
    """Accuracy over the steps of the victims: on their own training batches and on the clean test set.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        histories: the victims' histories, in the order of the cells.
        metrics: their metrics files, which know the histories' hashes.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    columns = {
        "batch_accuracy": "accuracy on\ntraining batches (%)",
        "test_accuracy": "accuracy on\nthe clean test set (%)",
    }
    _two_columns(config, histories, metrics, columns, pdf, svg, png)
