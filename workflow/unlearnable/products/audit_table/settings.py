"""Settings of the audit-table."""

from __future__ import annotations

from unlearnable.products.settings import Decimals, TableSettings


class AuditTable(TableSettings):
    """Networks trained on a release against the same trained on its originals."""

    product = "audit-table"
    stem = "audit"
    title = "what a release protects against"
    needs = ("victims", "datasets")
    fewest_datasets = 2  # originals and a release
    decimals: Decimals = 1
