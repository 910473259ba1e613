"""Shared by the settings of all tables and figures: name, files, inputs and look."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from unlearnable.settings import Settings, Slug

Need = Literal[
    "sources", "noises", "perturbed", "victims", "histories", "images", "datasets", "measured", "comparisons"
]

MOST_SEEDS = 40  # of an exact test: it keeps the sums of half of the differences with all signs, 2**20 numbers

Decimals = Annotated[int, Field(ge=0, le=6, description="digits after the point")]
Width = Annotated[float, Field(gt=1, le=20, description="width in inches")]
Resolution = Annotated[int, Field(ge=50, le=600, description="resolution of the PNG")]
Font = Annotated[
    Annotated[str, Field(min_length=1)] | None,
    Field(
        description="name of an installed font, or path of a font file; none: DejaVu Sans and, for characters that it "
        "lacks, any installed font that has them"
    ),
]


class NamedNoise(Settings):
    """One noise of an experiment."""

    method: Slug = Field(description="name of a method; clean for clean images")
    rho_u: int = Field(0, ge=0, le=255, description="its radius, in units of 1/255; 0 if the method has none")
    rho_a: int = Field(0, ge=0, le=255, description="radius of its source model's adversary; 0 if the method has none")


class ProductSettings(Settings):
    """A table or figure. Each has its own sub-tree of settings, so that a change remakes only that product.

    Attributes:
        kind: its folder in ``results``.
        product: its name, as listed in experiments.
        stem: the name of its files, without suffixes.
        title: a short description.
        needs: its inputs: the metrics of source models, noises, protected datasets or victims; the victims' histories;
            images of each noise; the images of all datasets; Snakemake's measurements of the jobs; which comparisons
            the experiment names.
        fewest_datasets: that its experiment must have.
    """

    kind: ClassVar[Literal["tables", "figures"]]
    product: ClassVar[str]
    stem: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ("victims",)
    fewest_datasets: ClassVar[int] = 1


class TableSettings(ProductSettings):
    """A table of numbers."""

    kind = "tables"
    decimals: Decimals = 2


class FigureSettings(ProductSettings):
    """A figure."""

    kind = "figures"
    width: Width = 6.0
    dpi: Resolution = 150
    font: Font = None
