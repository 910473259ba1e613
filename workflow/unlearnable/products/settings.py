"""What every table and figure says of itself: its name, its files, what it is made from, and how it looks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unlearnable.settings import Settings

Need = Literal["sources", "noises", "perturbed", "victims", "histories", "images", "measured"]

Decimals = Annotated[int, Field(ge=0, le=6, description="digits after the point")]
Width = Annotated[float, Field(gt=1, le=20, description="width in inches")]
Resolution = Annotated[int, Field(ge=50, le=600, description="resolution of the PNG")]


class ProductSettings(Settings):
    """How a table or figure looks. Each has its own sub-tree, so that a change makes only that one again.

    Attributes:
        kind: the folder of ``results`` that it is in.
        product: its name, which experiments list.
        stem: the name of its files, without their suffixes.
        title: what it shows, in a few words.
        needs: what it is made from: the metrics of source models, noises, protected datasets or victims; the victims'
            histories; images of each noise; what Snakemake measured of the jobs.
    """

    kind: ClassVar[Literal["tables", "figures"]]
    product: ClassVar[str]
    stem: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ("victims",)


class TableSettings(ProductSettings):
    """A table of numbers."""

    kind = "tables"
    decimals: Decimals = 2


class FigureSettings(ProductSettings):
    """A figure."""

    kind = "figures"
    width: Width = 6.0
    dpi: Resolution = 150
