"""Settings of the cost-table."""

from __future__ import annotations

from unlearnable.products.settings import Decimals, TableSettings


class CostTable(TableSettings):
    """Cost of each stage."""

    product = "cost-table"
    stem = "cost"
    title = "cost of each stage"
    needs = ("sources", "noises", "perturbed", "victims", "measured")
    decimals: Decimals = 1
