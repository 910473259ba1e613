"""How tables and figures look; each has its own sub-tree, so that a change makes only that one again."""

from __future__ import annotations

from pydantic import Field

from unlearnable.settings import Settings


class Table(Settings):
    """A table of numbers."""

    decimals: int = Field(2, ge=0, le=6, description="digits after the point")


class Figure(Settings):
    """A figure."""

    width: float = Field(6.0, gt=1, le=20, description="width in inches")
    dpi: int = Field(150, ge=50, le=600, description="resolution of the PNG")


class NoiseSheet(Figure):
    """Originals, their noise and the protected images."""

    images: int = Field(8, ge=1, le=20, description="columns: the first image of each class")


class Render(Settings):
    """One sub-tree per product."""

    accuracy_table: Table = Table()
    early_stopping_table: Table = Table()
    ranking_table: Table = Table(decimals=1)
    cost_table: Table = Table(decimals=1)
    tradeoff_table: Table = Table(decimals=1)
    accuracy_figure: Figure = Figure()
    fraction_figure: Figure = Figure()
    heat_map: Figure = Figure(width=9.0)
    loss_figure: Figure = Figure(width=9.0)
    training_curves: Figure = Figure(width=9.0)
    tradeoff_figure: Figure = Figure(width=8.0)
    noise_sheet: NoiseSheet = NoiseSheet()
