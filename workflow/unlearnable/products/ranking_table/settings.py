"""Settings of the ranking-table."""

from __future__ import annotations

from unlearnable.products.settings import Decimals, TableSettings


class RankingTable(TableSettings):
    """Noises ranked by protection."""

    product = "ranking-table"
    stem = "ranking"
    title = "noises ranked by protection"
    decimals: Decimals = 1
