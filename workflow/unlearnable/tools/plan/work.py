"""What a job computes, in terms that can be counted from its settings and timed by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unlearnable.training.settings import Precision

Work = Literal["gradient", "step", "forward"]


@dataclass(frozen=True)
class NetworkWork:
    """One kind of work of a network on one batch.

    Attributes:
        work: ``gradient``: the input gradient through the frozen network; ``step``: an SGD step; ``forward``: the
            logits alone, of the frozen network.
        network: its name.
        stem: how it begins.
        shape: of one image, ``(C, H, W)``.
        classes: how many there are.
        precision: as in the settings, ``auto`` included.
        batch: how many images a job passes through it at once.
    """

    work: Work
    network: str
    stem: str
    shape: tuple[int, ...]
    classes: int
    precision: Precision
    batch: int


@dataclass(frozen=True)
class KernelWork:
    """One step of NTGA on one block of images.

    Attributes:
        shape: of one image, ``(C, H, W)``.
        classes: how many there are.
        batch: images in a block.
        held_out: images that the loss is measured on.
        activation: of the wide network.
    """

    shape: tuple[int, ...]
    classes: int
    batch: int
    held_out: int
    activation: Literal["relu", "erf"]


@dataclass(frozen=True)
class PublishingWork:
    """Encoding images as PNG, and decoding them to see that they are what they should be.

    Attributes:
        shape: of one image, ``(C, H, W)``.
        batch: how many images are timed.
    """

    shape: tuple[int, ...]
    batch: int = 64


Kind = NetworkWork | KernelWork | PublishingWork


@dataclass(frozen=True)
class Amount:
    """So much of one kind of work.

    Attributes:
        kind: of work.
        images: how many images take part, each as often as it does.
        passes: forward and backward passes over a batch, as ``metrics.json`` counts them.
    """

    kind: Kind
    images: int
    passes: int = 0
