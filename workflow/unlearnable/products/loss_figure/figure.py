"""Training loss and clean-test accuracy of the victims over their steps."""

from __future__ import annotations

from unlearnable.products.curves import two_columns
from unlearnable.products.loss_figure.settings import LossFigure
from unlearnable.products.product import FigureFiles, Given, Inputs


def write(given: Given[LossFigure], inputs: Inputs, out: FigureFiles) -> None:
    """Training loss and clean-test accuracy over the victims' steps (the motivation of Fu et al. 2022).

    Args:
        given: the victims.
        inputs: their histories, and the metrics that contain the histories' hashes.
        out: files to write.
    """
    columns = {"loss": "training loss\n(log scale)", "test_accuracy": "clean-test\naccuracy (%)"}
    two_columns(given, inputs, columns, out)
