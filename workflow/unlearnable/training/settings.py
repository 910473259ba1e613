"""Training settings shared by source models and victims."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from unlearnable.settings import Settings, Slug

Precision = Literal["auto", "float32", "bfloat16"]
Stem = Literal["cifar", "imagenet"]
Initialisation = Literal["default", "he-normal"]
AUTO_ATTACK_CLASSES = 3  # the fewest for its difference of logits ratio


def _increasing_shares(shares: list[float]) -> list[float]:
    if any(not 0 < share < 1 for share in shares) or sorted(set(shares)) != shares:
        raise ValueError("must be increasing numbers between 0 and 1")
    return shares


class Training(Settings):
    """SGD with momentum and a step schedule, over shuffled whole batches."""

    network: Slug = Field("resnet18", description="one of the networks below")
    stem: Stem = Field("cifar", description="first layers: cifar for small images, imagenet for large ones")
    initialisation: Initialisation = Field(
        "default",
        description="of the weights. default: PyTorch's; he-normal: those of convolutions normal, of variance 2 / fan "
        "(fan out, for DenseNet fan in), and their biases 0",
    )
    steps: int = Field(5000, ge=1, description="SGD steps, each on a batch of shuffled images")
    batch_size: int = Field(128, ge=2, description="images per step; incomplete batches are not used")
    lr: float = Field(0.1, gt=0, description="learning rate of the first step")
    lr_drops: Annotated[list[float], AfterValidator(_increasing_shares)] = Field(
        [0.4, 0.8], description="shares of the steps after which lr is multiplied by lr_factor"
    )
    lr_factor: float = Field(0.1, gt=0, le=1, description="factor of lr at each of lr_drops")
    momentum: float = Field(0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(5.0e-4, ge=0, description="of SGD")
    precision: Precision = Field(
        "auto", description="auto: bfloat16 if the hardware is faster in it, otherwise float32"
    )
