"""Accuracy of the victims over their steps."""

from __future__ import annotations

from unlearnable.products.curves import two_columns
from unlearnable.products.product import FigureFiles, Given, Inputs
from unlearnable.products.training_curves.settings import TrainingCurves


def write(given: Given[TrainingCurves], inputs: Inputs, out: FigureFiles) -> None:
    """Accuracy over the steps of the victims: on their own training batches and on the clean test set.

    Args:
        given: the victims.
        inputs: their histories, and the metrics that contain the histories' hashes.
        out: files to write.
    """
    columns = {
        "batch_accuracy": "accuracy on\ntraining batches (%)",
        "test_accuracy": "accuracy on\nthe clean test set (%)",
    }
    two_columns(given, inputs, columns, out)
