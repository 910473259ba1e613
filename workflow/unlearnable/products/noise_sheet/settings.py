"""Settings of the noise-sheet."""

from __future__ import annotations

from pydantic import Field

from unlearnable.products.settings import FigureSettings


class NoiseSheet(FigureSettings):
    """Originals, their noise and the protected images."""

    product = "noise-sheet"
    stem = "noise-sheet"
    title = "noise sheet"
    needs = ("images",)
    images: int = Field(8, ge=1, le=20, description="columns: the first image of each class")
