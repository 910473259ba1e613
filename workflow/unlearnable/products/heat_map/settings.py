"""Settings of the heat-map."""

from __future__ import annotations

from unlearnable.products.settings import FigureSettings, Width


class HeatMap(FigureSettings):
    """The ranking as a picture."""

    product = "heat-map"
    stem = "heat-map"
    title = "noises by ways of training"
    width: Width = 9.0
