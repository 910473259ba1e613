"""D-VAE (Yu et al., ICML 2024, "Purify unlearnable examples via rate-constrained variational autoencoders")."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unlearnable import files
from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.d_vae.network import Autoencoder, loss
from unlearnable.countermeasures.d_vae.settings import DVae
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.progress import Meter
from unlearnable.randomness import derived_seed, generator

BLOCK = 128  # images purified at once: always the same ones together, so that their bytes are the same in all pieces
LARGEST_GRADIENT = 5.0


def build(settings: DVae, train: Split, classes: int, seed: int) -> Countermeasure:
    """Reconstruct the images without the perturbation of their class.

    The first stage subtracts its perturbation from the images; the second is fitted on what is left, subtracts its own
    and keeps the reconstruction of the rest. A map of images sees no labels, so all images are purified here, and each
    is found again by its bytes; of equal images with different labels, the first counts.

    A victim's passes do not include those of the two small networks, ``2 * steps`` batches forward and backward.

    Raises:
        UserError: the images have neither 1 nor 3 channels, or there is no space for the purified ones; from
            ``images``, if an image is not one of ``train``.
    """
    purified = purify(settings, train, classes, seed)
    row_of: dict[bytes, int] = {}
    for start in range(0, len(train.labels), BLOCK):
        for row, image in enumerate(train.images[start : start + BLOCK], start):
            row_of.setdefault(_digest(image), row)

    def change(images: Array) -> Array:
        rows = [row_of.get(_digest(image), -1) for image in images]
        if -1 in rows:
            raise UserError("counter-measure d-vae: an image is not one of the training images that it was fitted on")
        changed: Array = purified[np.array(rows)]
        return changed

    return applied_once(settings, train, change)


def purify(settings: DVae, train: Split, classes: int, seed: int) -> Array:
    """All images purified, ``(N, H, W, C)`` uint8, mapped from an unlinked file in the temporary folder.

    Raises:
        UserError: the disk is full.
    """
    first = fitted(settings, train, classes, seed, 1)
    left = Split(_stored(train, lambda pixels, y: _without(first, pixels, y)), train.labels, train.classes)
    second = fitted(settings, left, classes, seed, 2)
    return _stored(left, lambda pixels, y: second(_without(second, pixels, y), y).image)


def fitted(settings: DVae, train: Split, classes: int, seed: int, stage: int) -> Autoencoder:
    """The autoencoder of stage 1 or 2, trained by Adam on shuffled batches, in eval mode."""
    limit = settings.kld_limit_1 if stage == 1 else settings.kld_limit_2
    height, width, channels = train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "d-vae", stage, "weights"))
        network = Autoencoder((height, width, channels), classes, settings.width)
    optimizer = torch.optim.Adam(network.parameters(), settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    meter = Meter("step", settings.steps, settings.batch_size, "cpu")
    for step, rows in enumerate(batches(settings, len(train.labels), seed, stage)):
        pixels, labels = _pixels(train.images[rows]), torch.from_numpy(train.labels[rows])
        parts = network(pixels, labels, generator(seed, "d-vae", stage, "codes", step))
        price = loss(parts, pixels, limit)
        optimizer.zero_grad()
        price.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        meter.at(step + 1, f"stage {stage} of d-vae, loss {price.item():.4f}")
    return network.eval()


def batches(settings: DVae, count: int, seed: int, stage: int) -> Iterator[Array]:
    """The rows of each step's batch, ascending; an order of all rows that is used up is drawn again."""
    size, epoch, order = min(settings.batch_size, count), 0, np.empty(0, np.int64)
    for _ in range(settings.steps):
        if len(order) < size:
            order = torch.randperm(count, generator=generator(seed, "d-vae", stage, "order", epoch)).numpy()
            epoch += 1
        yield np.sort(order[:size])
        order = order[size:]


def _without(network: Autoencoder, pixels: Tensor, labels: Tensor) -> Tensor:
    left: Tensor = (pixels - network(pixels, labels).perturbation).clamp(0, 1)
    return left


@torch.no_grad()
def _stored(train: Split, change: Callable[[Tensor, Tensor], Tensor]) -> Array:
    """The images as ``change`` makes them of pixels in [0, 1] and labels, rounded to grey levels."""
    shape = train.images.shape
    folder = Path(tempfile.gettempdir())
    with files.naming_disk_faults(folder / "d-vae"), tempfile.TemporaryFile(dir=folder) as file:
        for start in range(0, shape[0], BLOCK):
            rows = slice(start, start + BLOCK)
            changed = change(_pixels(train.images[rows]), torch.from_numpy(np.array(train.labels[rows])))
            file.write((255 * changed).round().byte().permute(0, 2, 3, 1).contiguous().numpy().tobytes())
        file.flush()
        return np.memmap(file, np.uint8, "r", shape=shape).view(np.ndarray)


def _pixels(images: Array) -> Tensor:
    """Images ``(B, H, W, C)`` uint8 as ``(B, C, H, W)`` in [0, 1]."""
    return torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2).contiguous() / 255


def _digest(image: Array) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
