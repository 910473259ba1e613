"""Linearly separable perturbations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.lsp import noise as lsp
from unlearnable.noises.lsp.settings import Lsp
from unlearnable.noises.method import Batch, Problem

CPU = torch.device("cpu")


def task(classes: int, radius: float = 6.0, patch: int = 8) -> Problem[Lsp]:
    return Problem(Lsp(algorithm="lsp", radius=radius, patch=patch), 0, 0, Augmentation(), classes)


def blank(shape: tuple[int, int, int], classes: int) -> Split:
    return Split(np.zeros((classes, *shape), np.uint8), np.arange(classes), [str(c) for c in range(classes)])


def noise(shape: tuple[int, int, int], labels: Tensor, problem: Problem[Lsp], seed: int = 0) -> Tensor:
    """The noise of black images: ``(B, C, H, W)``."""
    centres = lsp.basis(None, blank(shape, problem.classes), problem, seed, CPU)
    images = torch.zeros(len(labels), shape[2], *shape[:2])
    return lsp.noise(centres, Batch(images, labels, problem, torch.Generator().manual_seed(seed)))


@given(radius=st.floats(3, 40), height=st.integers(8, 33), width=st.integers(8, 33), channels=st.sampled_from([1, 3]))
def test_the_root_mean_square_is_the_radius(radius: float, height: int, width: int, channels: int) -> None:
    d = noise((height, width, channels), torch.arange(2), task(2, radius))
    root_mean_square = d.square().mean(dim=(1, 2, 3)).sqrt()
    assert ((root_mean_square - radius).abs() <= 0.5).all()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (28, 28), (9, 30)])
def test_noise_is_made_of_whole_patches_cropped_at_the_far_edges(height: int, width: int) -> None:
    d = noise((height, width, 3), torch.arange(10), task(10))
    for row in range(0, height, 8):
        for column in range(0, width, 8):
            block = d[:, :, row : row + 8, column : column + 8]
            assert torch.equal(block, block[:, :, :1, :1].expand_as(block))
    values = d[:, :, ::8, ::8].flatten(1)
    assert values.shape[1] == 3 * math.ceil(height / 8) * math.ceil(width / 8)
    assert all(len(set(image.tolist())) > 3 for image in values)


def test_every_class_has_a_corner_of_its_own() -> None:
    problem = task(16, patch=4)
    centres = lsp.basis(None, blank((8, 8, 1), 16), problem, 3, CPU)  # all 2^4 corners
    assert centres.abs().eq(10).all()
    assert len({tuple(centre.flatten().tolist()) for centre in centres}) == 16


def test_more_classes_than_corners_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"patch 4 makes 4 value\(s\).*8x8x1.*16 classes apart, not 17; a smaller patch"
    ):
        lsp.basis(None, blank((8, 8, 1), 17), task(17, patch=4), 0, CPU)


def test_draws_stay_around_the_corner_of_their_class() -> None:
    labels = torch.zeros(2000, dtype=torch.int64)
    problem = task(1, radius=100)
    centre = lsp.basis(None, blank((16, 16, 3), 1), problem, 0, CPU)[0]
    values = noise((16, 16, 3), labels, problem)[:, :, ::8, ::8] / 10  # the corner's values are 10, so are 100/10
    assert torch.allclose(values.mean(dim=0), centre.float(), atol=0.15)
    assert 0.7 < float(values.std(dim=0).mean()) < 1.05  # 1, less what scaling to the radius takes


@pytest.mark.parametrize(("shape", "classes"), [((32, 32, 3), 10), ((28, 28, 1), 10), ((16, 16, 3), 200)])
def test_a_linear_classifier_separates_the_classes(shape: tuple[int, int, int], classes: int) -> None:
    labels = torch.arange(20 * classes) % classes
    train, test = slice(None, 10 * classes), slice(10 * classes, None)
    d = noise(shape, labels, task(classes)).flatten(1)
    means = torch.stack([d[train][labels[train] == label].mean(dim=0) for label in range(classes)])
    logits = d[test] @ means.T - means.square().sum(dim=1) / 2  # linear: of these the nearest mean's is the largest
    assert torch.equal(logits.argmax(dim=1), labels[test])
