"""Small classifiers that show what can be told apart without a network that looks at shapes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.datasets.split import Array, Split, stratified_order
from unlearnable.randomness import derived_seed, numpy_generator

MOST_ROWS = 5000  # images that a classifier learns from, class-balanced
BINS = 4  # of each channel
HELD_BACK = 5  # one training image in so many is held back to test a classifier of the noise
HIDDEN = 100
STEPS, RATE, DECAY = 200, 0.01, 1e-3


def histogram_accuracy(train: Split, test: Split) -> float:
    """The accuracy on ``test`` of a softmax regression on colour histograms, in 0..1."""
    rows = balanced_rows(train.labels)[:MOST_ROWS]
    return classified(
        *(histograms(train.images[rows]), train.labels[rows], histograms(test.images[:]), test.labels),
        classes=len(train.classes),
        hidden=None,
    )


def noise_accuracies(originals: Split, release: Split) -> tuple[float, float, int]:
    """How well the changes alone tell the classes apart (Yu et al. 2022, for changes that were not seen in training).

    Args:
        originals: training images.
        release: the same images in the same order, changed.

    Returns:
        The accuracies of a linear and of a two-layer classifier, in 0..1, and the number of images tested on.

    Raises:
        ValueError: the two are not the same images.
    """
    if originals.images.shape != release.images.shape or not np.array_equal(originals.labels, release.labels):
        raise ValueError("the release and its originals are not the same images")
    rows = balanced_rows(originals.labels)[:MOST_ROWS]
    change = release.images[rows].astype(np.float32) - originals.images[rows]
    change, labels = change.reshape(len(rows), -1), originals.labels[rows]
    tested = max(1, len(rows) // HELD_BACK)
    linear, two_layers = (
        classified(change[tested:], labels[tested:], change[:tested], labels[:tested], len(originals.classes), hidden)
        for hidden in (None, HIDDEN)
    )
    return linear, two_layers, tested


def balanced_rows(labels: Array) -> Array:
    """The rows in an order, always the same, in which every beginning is as class-balanced as the whole."""
    return stratified_order(labels, numpy_generator(0, "audit"))


def histograms(images: Array) -> Array:
    """The share of pixels of each of 4 x 4 x 4 colours, or of 4 greys: ``(N, H, W, C)`` uint8 to ``(N, 4**C)``."""
    channels = images.shape[3]
    places = (BINS ** np.arange(channels)).astype(np.uint8)
    codes = (images // (256 // BINS) * places).sum(axis=3, dtype=np.uint8).reshape(len(images), -1)
    counts = [np.bincount(of_image, minlength=BINS**channels) for of_image in codes]
    return np.stack(counts).astype(np.float32) / codes.shape[1]  # type: ignore[no-any-return]


def classified(
    features: Array, labels: Array, tests: Array, test_labels: Array, classes: int, hidden: int | None
) -> float:
    """The accuracy of a classifier on ``tests``, in 0..1; the same on every call.

    Args:
        features: to learn from, ``(n, d)`` float32; they are centred and scaled by their standard deviation.
        labels: their classes, ``(n,)``.
        tests: ``(m, d)``, scaled alike.
        test_labels: ``(m,)``.
        classes: number of classes.
        hidden: units of a hidden layer; None for a linear classifier.
    """
    mean, spread = features.mean(axis=0), float(features.std()) or 1.0
    x, of_tests = (torch.from_numpy((each - mean) / spread) for each in (features, tests))
    model = _model(x.shape[1], classes, hidden)
    optimiser = torch.optim.AdamW(model.parameters(), RATE, weight_decay=DECAY)
    y = torch.from_numpy(labels)
    for _ in range(STEPS):
        optimiser.zero_grad()
        F.cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        found: Tensor = model(of_tests).argmax(dim=1)
    return float((found.numpy() == test_labels).mean())


def _model(inputs: int, classes: int, hidden: int | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(0, "audit", inputs) % 2**63)
        if hidden is None:
            return nn.Linear(inputs, classes)
        return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))
