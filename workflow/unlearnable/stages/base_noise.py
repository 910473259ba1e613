"""What the noise stage takes from elsewhere: the noise of another method, or one in a file."""

from __future__ import annotations

from pathlib import Path

from unlearnable import registry
from unlearnable.datasets.protected import read_noise
from unlearnable.datasets.split import Array, Split
from unlearnable.stages.settings.noise import NoiseSettings


def base_noise(settings: NoiseSettings, train: Split, merged: Path | None, source: Path, folder: Path) -> Array | None:
    """The noise that another one is made of or starts from, ``(N, H, W, C)``; None for one that needs no other.

    A method whose noise comes from a file defines ``base(settings, train, folder)``, which reads it; see
    ``noises.given``.

    Args:
        settings: of the noise to make.
        train: all clean training images.
        merged: folder of that merged noise; None if it is in a file or there is none.
        source: folder of the clean dataset.
        folder: for what a method keeps while it runs; on a disk with room for a noise.

    Raises:
        UserError: the noise was made for another dataset, is damaged, or does not fit the images.
    """
    if merged is not None:
        return read_noise(merged, source)[1]
    own = getattr(registry.load_module("noises", settings.method.algorithm), "base", None)
    if own is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    found: Array = own(settings.method, train, folder)
    return found
