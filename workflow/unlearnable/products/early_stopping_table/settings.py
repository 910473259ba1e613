"""Settings of the early-stopping-table."""

from __future__ import annotations

from unlearnable.products.settings import TableSettings


class EarlyStoppingTable(TableSettings):
    """Last against best accuracy of the victims."""

    product = "early-stopping-table"
    stem = "early-stopping"
    title = "what early stopping gains"
