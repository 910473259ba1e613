"""Training loss and clean-test accuracy of the victims over their steps."""

from __future__ import annotations

from typing import Any

from unlearnable.products.curves import _two_columns


def loss_figure(config: dict[str, Any], histories: list[str], metrics: list[str], pdf: str, svg: str, png: str) -> None:
    """The training loss and the clean-test accuracy over the steps of the victims (Fu et al. 2022, their motivation).

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        histories: the victims' histories, in the order of the cells.
        metrics: their metrics files, which know the histories' hashes.
        pdf: file to write.
        svg: file to write.
        png: file to write.
    """
    columns = {"loss": "training loss\n(log scale)", "test_accuracy": "clean-test\naccuracy (%)"}
    _two_columns(config, histories, metrics, columns, pdf, svg, png)
