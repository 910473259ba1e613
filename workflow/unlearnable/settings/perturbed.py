"""How the published dataset is written."""

from __future__ import annotations

from pydantic import Field

from unlearnable.settings.base import Settings


class Perturbed(Settings):
    """Row counts of the published files."""

    rows_per_parquet: int = Field(10_000, ge=1, description="images per Parquet file")
    rows_per_shard: int = Field(10_000, ge=1, description="images per NumPy shard")
