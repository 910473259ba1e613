"""What a trainer does against the noise, before or while a victim learns."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from unlearnable.settings.base import Settings


def _odd(size: int) -> int:
    if size % 2 == 0:
        raise ValueError("must be odd, so that the window has a central pixel")
    return size


Window = Annotated[
    int, Field(ge=3, le=31, description="side of the square window in pixels, odd"), AfterValidator(_odd)
]


class _Countermeasure(Settings):
    channels: ClassVar[tuple[int, ...]] = (1, 3)  # the numbers of channels of the images that it fits
    needs_radius: ClassVar[bool] = False  # whether it is a form of adversarial training, for victims of a radius > 0


class NoCountermeasure(_Countermeasure):
    """The trainer suspects nothing."""

    kind: Literal["none"]


class Mean(_Countermeasure):
    """Low-pass: each pixel of the training images becomes the mean of its window."""

    kind: Literal["mean"]
    size: Window = 3


class Median(_Countermeasure):
    """Low-pass: each pixel of the training images becomes the median of its window."""

    kind: Literal["median"]
    size: Window = 3


class Gaussian(_Countermeasure):
    """Low-pass: a Gaussian window, whose width OpenCV derives from its size; 3 is the kernel 1-2-1."""

    kind: Literal["gaussian"]
    size: Window = 3


class Bilateral(_Countermeasure):
    """Low-pass that spares edges: a Gaussian window in space and in grey levels."""

    kind: Literal["bilateral"]
    diameter: int = Field(9, ge=3, le=31, description="of the round window, in pixels")
    sigma_color: float = Field(75.0, gt=0, description="in grey levels: how different the pixels that mix may be")
    sigma_space: float = Field(75.0, gt=0, description="in pixels: how fast the weight falls with the distance")


class Grayscale(_Countermeasure):
    """Image shortcut squeezing (Liu et al. 2023): training images without colour, as three equal channels."""

    channels: ClassVar[tuple[int, ...]] = (3,)
    kind: Literal["grayscale"]


class Jpeg(_Countermeasure):
    """Image shortcut squeezing (Liu et al. 2023): training images through JPEG and back."""

    kind: Literal["jpeg"]
    quality: int = Field(10, ge=1, le=100, description="of the JPEG encoder")


class BitDepth(_Countermeasure):
    """Image shortcut squeezing (Liu et al. 2023): training images with their highest bits only."""

    kind: Literal["bit-depth"]
    bits: int = Field(2, ge=1, le=7, description="how many of a channel's 8 bits stay; the others become 0")


class Cutout(_Countermeasure):
    """Cutout (DeVries and Taylor 2017): a mid-grey square in each training image, drawn afresh at each step."""

    kind: Literal["cutout"]
    size: int | None = Field(None, ge=1, description="side of the square, in pixels; none: half the image's side")


class Mixup(_Countermeasure):
    """Mixup (Zhang et al. 2018): training images and labels averaged in pairs."""

    kind: Literal["mixup"]
    alpha: float = Field(1.0, gt=0, description="the share of the first image is drawn from Beta(alpha, alpha)")


class Cutmix(_Countermeasure):
    """CutMix (Yun et al. 2019): a box of each training image replaced by that of another, labels mixed by area."""

    kind: Literal["cutmix"]
    alpha: float = Field(1.0, gt=0, description="the area outside the box is drawn from Beta(alpha, alpha)")


class Orthogonal(_Countermeasure):
    """Orthogonal projection (Sandoval-Segura et al. 2023): training images without what a linear classifier learnt."""

    kind: Literal["orthogonal"]
    epochs: int = Field(20, ge=1, description="of the linear classifier's training")
    batch_size: int = Field(1024, ge=1, description="of the linear classifier's training")
    lr: float = Field(0.1, gt=0, description="of the linear classifier's training; a tenth from each of 1/2 and 3/4 on")


class Trades(_Countermeasure):
    """TRADES (Zhang et al. 2019): adversarial training that trades accuracy for stable predictions."""

    needs_radius: ClassVar[bool] = True
    kind: Literal["trades"]
    beta: float = Field(6.0, gt=0, description="weight of the divergence between clean and attacked predictions")


class Mart(_Countermeasure):
    """MART (Wang et al. 2020): adversarial training that weighs misclassified images up."""

    needs_radius: ClassVar[bool] = True
    kind: Literal["mart"]
    beta: float = Field(5.0, gt=0, description="weight of the divergence between clean and attacked predictions")


Countermeasure = Annotated[
    NoCountermeasure
    | Mean
    | Median
    | Gaussian
    | Bilateral
    | Grayscale
    | Jpeg
    | BitDepth
    | Cutout
    | Mixup
    | Cutmix
    | Orthogonal
    | Trades
    | Mart,
    Field(discriminator="kind"),
]
