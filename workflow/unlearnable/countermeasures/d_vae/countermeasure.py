"""Purification by variational autoencoders of limited rate, D-VAE (Yu et al., ICML 2024).

An autoencoder that may keep little of an image keeps little of its noise. What its images lack is learnt for each class
apart, so that it can be taken off.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.d_vae.autoencoder import BLOCK, Autoencoder, loss
from unlearnable.countermeasures.d_vae.settings import DVae
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import chunk_rows
from unlearnable.progress import Meter
from unlearnable.randomness import derived_seed, generator

ROWS = 64  # that pass together, so that an image's result does not depend on how many come with it
DIGEST_BYTES = 16

Prepare = Callable[[Tensor, Tensor], Tensor]  # pixels (B, C, H, W) in [0, 1] and labels (B,), to as many pixels


def build(settings: DVae, train: Split, classes: int, seed: int) -> Countermeasure:
    """Two stages: the first takes the perturbations that it finds off the images, the second rebuilds what is left.

    Both learn on the published images alone, on the CPU. An image is told its class by its content; images that are
    equal have the class of the last of them.

    Raises:
        UserError: the number of channels is not supported.
    """
    first = trained(settings, settings.first_rate, train, classes, seed, 1, lambda x, _: x)

    def relieved(x: Tensor, y: Tensor) -> Tensor:
        return (x - rebuilt(first, x, y)[1]).clamp(0, 1)

    second = trained(settings, settings.second_rate, train, classes, seed, 2, relieved)
    label_of = labels_by_content(train)

    def purified(images: Array) -> Array:
        """At most ``ROWS`` images; as many pass."""
        labels = torch.tensor([label_of[_digest(image)] for image in images])
        spare = ROWS - len(images)
        x, y = F.pad(_pixels(images), (0, 0, 0, 0, 0, 0, 0, spare)), F.pad(labels, (0, spare))
        levels = 255 * rebuilt(second, relieved(x, y), y)[0][: len(images)]
        return levels.round().clamp(0, 255).permute(0, 2, 3, 1).numpy().astype(np.uint8)

    def change(images: Array) -> Array:
        return np.concatenate([purified(images[at : at + ROWS]) for at in range(0, len(images), ROWS)])

    return applied_once(settings, train, change)


def trained(
    settings: DVae, rate: float, train: Split, classes: int, seed: int, stage: int, prepare: Prepare
) -> Autoencoder:
    """An autoencoder of images, trained by Adam; its learning rate rises and falls once.

    Args:
        settings: steps, batches and learning rate.
        rate: its limit, in nats for a block of pixels.
        train: the published images.
        classes: number of classes.
        seed: of weights, batches and noise.
        stage: 1 or 2.
        prepare: what is done to the images before they are learnt.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "d-vae", stage, "weights"))
        model = Autoencoder(train.images.shape[3], classes)
    optimizer = torch.optim.Adam(model.parameters(), settings.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.lr, total_steps=max(2, settings.steps))
    meter = Meter(f"d-vae, stage {stage}: step", settings.steps, settings.batch_size, "cpu")
    labels = torch.from_numpy(np.array(train.labels))
    for step in range(settings.steps):
        draws = generator(seed, "d-vae", stage, step)
        rows = torch.randint(len(labels), (settings.batch_size,), generator=draws).sort().values
        y = labels[rows]
        with torch.enable_grad():
            x = prepare(_pixels(train.images[rows.numpy()]), y)
            value = loss(model, _padded(x), y, rate, draws)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        meter.at(step + 1, f"loss {value.item():.4g}")
    return model.eval()


def rebuilt(model: Autoencoder, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The images that an autoencoder makes of ``x`` without noise in the code, and the perturbations it finds."""
    height, width = x.shape[2:]
    with torch.no_grad():
        images, perturbations, _ = model(_padded(x), y)
    return images[..., :height, :width], perturbations[..., :height, :width]


def labels_by_content(train: Split) -> dict[bytes, int]:
    """The label of each image, by a digest of its pixels."""
    found: dict[bytes, int] = {}
    step = chunk_rows(train.images.shape[1:])
    for at in range(0, len(train.labels), step):
        part = slice(at, at + step)
        digests = map(_digest, train.images[part])
        found.update(zip(digests, train.labels[part].tolist(), strict=True))
    return found


def _digest(image: Array) -> bytes:
    return blake2b(np.ascontiguousarray(image).data, digest_size=DIGEST_BYTES).digest()


def _pixels(images: Array) -> Tensor:
    """Images ``(n, H, W, C)`` uint8 as ``(n, C, H, W)`` in [0, 1]."""
    return torch.from_numpy(images.astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()


def _padded(x: Tensor) -> Tensor:
    """The same pixels with the border repeated until the sides are multiples of ``BLOCK``."""
    height, width = x.shape[2:]
    return F.pad(x, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
