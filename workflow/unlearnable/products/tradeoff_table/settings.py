"""Settings of the tradeoff-table."""

from __future__ import annotations

from unlearnable.products.settings import Decimals, TableSettings


class TradeoffTable(TableSettings):
    """Protection against cost."""

    product = "tradeoff-table"
    stem = "tradeoff"
    title = "protection against cost"
    needs = ("sources", "noises", "victims")
    decimals: Decimals = 1
