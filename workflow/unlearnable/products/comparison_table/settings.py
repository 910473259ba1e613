"""Settings of the comparison-table."""

from __future__ import annotations

from unlearnable.products.settings import Decimals, TableSettings


class ComparisonTable(TableSettings):
    """Paired differences of the noises from their references."""

    product = "comparison-table"
    stem = "comparison"
    title = "differences from the references, with tests"
    needs = ("victims", "comparisons")
    decimals: Decimals = 1
