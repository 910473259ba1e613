"""How the published noise is computed."""

from __future__ import annotations

from pydantic import Field

from unlearnable.settings.base import Settings
from unlearnable.settings.training import Precision


class NoisePass(Settings):
    """The pass that computes the published noise with the frozen source model."""

    batch_size: int = Field(128, ge=1, description="images that are computed together; shards are whole batches")
    shards: int = Field(1, ge=1, description="jobs that share one noise; the result does not depend on it")
    precision: Precision = "auto"
