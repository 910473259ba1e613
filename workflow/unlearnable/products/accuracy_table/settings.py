"""Settings of the accuracy-table."""

from __future__ import annotations

from unlearnable.products.settings import TableSettings


class AccuracyTable(TableSettings):
    """Clean-test accuracy of the victims."""

    product = "accuracy-table"
    stem = "accuracy"
    title = "accuracy of the victims"
