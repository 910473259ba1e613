"""Orthogonal projection (Sandoval-Segura et al., NeurIPS 2023, "What can we learn from unlearnable datasets?")."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable.countermeasures._images import applied_once
from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.orthogonal.settings import Orthogonal
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.randomness import generator

PIECE = 2**24  # values processed at once: 64 MiB of float32, 128 of float64
FINE, COARSE = 2.0**24, 2.0**8


def build(settings: Orthogonal, train: Split, classes: int, seed: int) -> Countermeasure:
    """Project out of the images the directions that a linear classifier learnt on them.

    If every class has one noise pattern, those directions are the patterns. The original trains on the projected
    floats; here they are rounded and clipped to grey levels. The released code takes the classifier's batches in file
    order; here they are shuffled, because files may be sorted by class.

    Raises:
        UserError: there are as many classes as values in an image, so nothing would be left.
    """
    height, width, channels = train.images.shape[1:]
    values = height * width * channels
    if (misfit := settings.misfit((height, width, channels), classes)) is not None:
        raise UserError(f"counter-measure orthogonal: {misfit}")
    basis = orthonormal(class_weights(settings, train, classes, seed))

    def levels(images: Array) -> Array:
        return np.rint(project(images, basis)).clip(0, 255).astype(np.uint8)

    def change(images: Array) -> Array:
        return np.concatenate([levels(part) for part in pieces(images, PIECE // values)])

    return applied_once(settings, train, change)


def pieces(array: Array, rows: int) -> Iterator[Array]:
    """Consecutive parts of ``array``, each of ``rows`` rows but at least one."""
    rows = max(1, rows)
    for at in range(0, len(array), rows):
        yield array[at : at + rows]


def class_weights(settings: Orthogonal, train: Split, classes: int, seed: int) -> Array:
    """The weights of a linear softmax classifier on the raw pixels in [0, 1], without bias.

    SGD without momentum on shuffled batches; the learning rate falls to a tenth after half and after three quarters
    of the epochs.

    Returns:
        ``(classes, H * W * C)`` float32.
    """
    values = math.prod(train.images.shape[1:])
    labels = torch.from_numpy(np.array(train.labels))  # a copy, as torch needs a writable array
    weights = torch.empty(classes, values).uniform_(
        -(values**-0.5), values**-0.5, generator=generator(seed, "orthogonal", "weights")
    )
    for epoch in range(settings.epochs):
        drops = sum(epoch >= share * settings.epochs for share in (0.5, 0.75))
        order = torch.randperm(len(labels), generator=generator(seed, "orthogonal", "order", epoch)).numpy()
        for rows in pieces(order, settings.batch_size):
            gradient = torch.zeros_like(weights)
            for part in pieces(np.sort(rows), PIECE // values):
                pixels = torch.from_numpy(train.images[part]).flatten(1).float() / 255
                excess = F.softmax(pixels @ weights.T, 1) - F.one_hot(labels[part], classes)
                gradient += excess.T @ pixels
            weights -= settings.lr * 0.1**drops / len(rows) * gradient
    return weights.numpy()


def orthonormal(weights: Array) -> Array:
    """An orthonormal basis of the span of the weights' rows, ``(H * W * C, classes)`` float64.

    Its entries are rounded to whole multiples of 2^-24, for ``project``.
    """
    directions = weights.astype(np.float64)
    basis, _ = np.linalg.qr((directions / np.linalg.norm(directions, axis=1, keepdims=True)).T)
    return np.rint(basis * FINE) / FINE


def project(images: Array, basis: Array) -> Array:
    """Images ``(n, H, W, C)`` uint8 less their components along the basis, float64, in grey levels.

    The components are rounded to multiples of 2^-8. As the basis is rounded too, every sum here is exact in float64, so
    an image's result depends neither on the other images nor on the order of summation.
    """
    pixels = torch.from_numpy(images.reshape(len(images), -1).astype(np.float64))
    directions = torch.from_numpy(basis)
    components = torch.round(pixels @ directions * COARSE) / COARSE
    rest: Tensor = pixels - components @ directions.T
    return rest.reshape(images.shape).numpy()
