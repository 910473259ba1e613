"""Orthogonal projection: the classifier, the subspace and what is left of the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from unlearnable.countermeasures.orthogonal import countermeasure as orthogonal
from unlearnable.countermeasures.orthogonal.settings import Orthogonal
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.randomness import generator

CLASSES = 3
SETTINGS = Orthogonal(kind="orthogonal", epochs=4, batch_size=16)


def split(rows: int = 45, channels: int = 1) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (rows, 8, 8, channels), np.uint8)
    return Split(images, np.arange(rows, dtype=np.int64) % CLASSES, ["a", "b", "c"])


def poisoned(rows: int = 600) -> tuple[Array, Split]:
    """Soft images without classes, and the same with the pattern of a class in each."""
    draws = np.random.default_rng(0)
    images = draws.integers(110, 146, (rows, 8, 8, 1)).astype(np.float64)
    basis, _ = np.linalg.qr(draws.normal(size=(64, CLASSES)))
    patterns = 160 * basis.T.reshape(CLASSES, 8, 8, 1)
    labels = np.arange(rows, dtype=np.int64) % CLASSES
    published = np.clip(np.rint(images + patterns[labels]), 0, 255).astype(np.uint8)
    return images, Split(published, labels, ["a", "b", "c"])


class Recorder:
    """Images that are never handed out all at once."""

    def __init__(self, images: Array) -> None:
        self.images, self.shape, self.most = images, images.shape, 0

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | Array) -> Array:
        part: Array = self.images[rows]
        self.most = max(self.most, len(part))
        return part


@pytest.mark.parametrize("channels", [1, 3])
def test_the_classifier_is_what_sgd_makes_of_a_linear_layer(channels: int) -> None:
    train = split(channels=channels)
    layer = nn.Linear(64 * channels, CLASSES, bias=False)
    bound = (64 * channels) ** -0.5
    layer.weight.data.uniform_(-bound, bound, generator=generator(5, "orthogonal", "weights"))
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 3])
    x, y = torch.from_numpy(train.images[:].reshape(45, -1) / 255).float(), torch.from_numpy(train.labels)
    for epoch in range(4):
        order = torch.randperm(45, generator=generator(5, "orthogonal", "order", epoch))
        for rows in (order[:16], order[16:32], order[32:]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(layer(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        scheduler.step()
    found = orthogonal.class_weights(SETTINGS, train, CLASSES, 5)
    np.testing.assert_allclose(found, layer.weight.detach().numpy(), atol=1e-6)
    assert np.abs(found - orthogonal.class_weights(SETTINGS, train, CLASSES, 6)).max() > 0.01


def test_what_is_left_is_orthogonal_to_the_weights_and_nothing_else_is_taken() -> None:
    train = split(channels=3)
    weights = orthogonal.class_weights(SETTINGS, train, CLASSES, 0).astype(np.float64)
    left = orthogonal.project(train.images[:], orthogonal.orthonormal(weights)).reshape(45, -1)
    unit = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    pixels = train.images[:].reshape(45, -1).astype(np.float64)
    assert np.abs(pixels @ unit.T).max() > 10
    assert np.abs(left @ unit.T).max() < 0.01
    fitted, *_ = np.linalg.lstsq(weights.T, pixels.T, rcond=None)  # least squares leaves the same residual
    np.testing.assert_allclose(left, pixels - (weights.T @ fitted).T, atol=0.01)


def test_training_images_are_the_projected_ones_rounded_and_clipped() -> None:
    train = split()
    change = orthogonal.build(SETTINGS, train, CLASSES, 0).images
    assert change is not None
    basis = orthogonal.orthonormal(orthogonal.class_weights(SETTINGS, train, CLASSES, 0))
    left = orthogonal.project(train.images[:], basis)
    assert left.min() < 0
    assert left.max() > 255
    found = change(train.images[:])
    assert np.abs(found - left.clip(0, 255)).max() <= 0.5


def test_the_pattern_of_a_class_disappears_and_the_rest_of_the_image_stays() -> None:
    images, train = poisoned()
    settings = Orthogonal(kind="orthogonal", epochs=60, batch_size=100, lr=3)
    change = orthogonal.build(settings, train, CLASSES, 0).images
    assert change is not None
    found = change(train.images[:])

    def apart(images: Array) -> float:
        """How far the mean images of two classes lie apart, in grey levels (L2)."""
        means = [images[train.labels == k].astype(np.float64).mean(0) for k in (0, 1)]
        return float(np.linalg.norm(means[0] - means[1]))

    assert apart(train.images[:]) > 200
    assert apart(found) < 2 * apart(images) < 20
    assert np.corrcoef((found - found.mean(0)).ravel(), (images - images.mean(0)).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("piece", [64, 7 * 64])
def test_images_are_read_in_pieces_and_the_pieces_change_nothing(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    train = split()
    weights = orthogonal.class_weights(SETTINGS, train, CLASSES, 0)
    change = orthogonal.build(SETTINGS, train, CLASSES, 0).images
    assert change is not None
    whole = change(train.images[:])
    monkeypatch.setattr(orthogonal, "PIECE", piece)
    assert np.array_equal(change(train.images[:]), whole)
    recorder = Recorder(train.images[:])
    found = orthogonal.class_weights(SETTINGS, Split(recorder, train.labels, train.classes), CLASSES, 0)
    np.testing.assert_allclose(found, weights, atol=1e-6)
    assert recorder.most == piece // 64


def test_the_sums_of_the_projection_are_exact_whatever_their_order() -> None:
    train = split(channels=3)
    basis = orthogonal.orthonormal(orthogonal.class_weights(SETTINGS, train, CLASSES, 0))
    together = orthogonal.project(train.images[:], basis)
    alone = np.concatenate([orthogonal.project(train.images[i : i + 1], basis) for i in range(45)])
    assert np.array_equal(together, alone)
    order = np.random.default_rng(0).permutation(192)
    images = train.images[:].reshape(45, -1)[:, order].reshape(45, 8, 8, 3)
    shuffled = orthogonal.project(images, np.ascontiguousarray(basis[order]))
    assert np.array_equal(shuffled.reshape(45, -1), together.reshape(45, -1)[:, order])


def test_the_order_of_the_files_is_not_the_order_of_learning() -> None:
    _, train = poisoned()
    rows = np.argsort(train.labels, kind="stable")
    by_class = Split(train.images[rows], train.labels[rows], train.classes)
    weights = orthogonal.class_weights(Orthogonal(kind="orthogonal", batch_size=50), by_class, CLASSES, 0)
    guesses = (by_class.images[:].reshape(600, -1) / 255 @ weights.T).argmax(1)
    assert (guesses == by_class.labels).mean() > 0.95


def test_as_many_classes_as_values_are_refused() -> None:
    with pytest.raises(UserError, match="orthogonal: 64 classes leave nothing of images of 64 values"):
        orthogonal.build(SETTINGS, split(), 64, 0)
