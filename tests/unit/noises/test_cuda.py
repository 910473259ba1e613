"""Convolution-based unlearnable datasets."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.noises.cuda import noise as cuda
from unlearnable.noises.cuda.settings import Cuda
from unlearnable.noises.method import Batch, Problem

CPU = torch.device("cpu")


def task(classes: int, kernel_size: int = 3, blur: float = 0.3) -> Problem[Cuda]:
    return Problem(Cuda(algorithm="cuda", kernel_size=kernel_size, blur=blur), 0, 0, Augmentation(), classes)


def filters(problem: Problem[Cuda], seed: int = 0) -> Tensor:
    classes = [str(label) for label in range(problem.classes)]
    train = Split(np.zeros((problem.classes, 8, 8, 1), np.uint8), np.arange(problem.classes), classes)
    return cuda.basis(None, train, problem, seed, CPU)


def published(images: Tensor, labels: Tensor, problem: Problem[Cuda]) -> Tensor:
    return images + cuda.noise(filters(problem), Batch(images, labels, problem, torch.Generator()))


def random_images(channels: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (6, channels, 9, 8), generator=torch.Generator().manual_seed(seed)).float()


@given(kernel_size=st.sampled_from([3, 5, 9]), blur=st.floats(0.01, 0.9), seed=st.integers(0, 2**31 - 1))
def test_one_weight_of_a_filter_is_1_and_the_others_are_at_most_blur(kernel_size: int, blur: float, seed: int) -> None:
    found = filters(task(50, kernel_size, blur), seed)
    assert found.shape == (50, kernel_size, kernel_size)
    ones = found == 1
    assert (ones.sum(dim=(1, 2)) == 1).all()
    assert ((found >= 0) & (found <= blur))[~ones].all()
    assert abs(float(found[~ones].mean()) - blur / 2) < 0.1 * blur
    assert len({int(place) for place in ones.flatten(1).int().argmax(dim=1)}) > 5  # the 1 is not always in one place


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_an_image_is_blurred_by_its_classs_filter_and_divided_by_its_largest_value(
    channels: int, kernel_size: int
) -> None:
    problem, images, labels = task(4, kernel_size), random_images(channels), torch.tensor([0, 1, 2, 3, 0, 1])
    found, half = published(images, labels, problem), kernel_size // 2
    for image, label, result in zip(images, labels, found, strict=True):
        weights, blurred = filters(problem)[label], torch.zeros(channels, 9, 8, dtype=torch.float64)
        for channel, row, column in np.ndindex(channels, 9, 8):
            for up, left in np.ndindex(kernel_size, kernel_size):
                y, x = row + up - half, column + left - half
                if 0 <= y < 9 and 0 <= x < 8:
                    blurred[channel, row, column] += weights[up, left] * image[channel, y, x]
        assert torch.equal(result, (255 * blurred / blurred.max()).round().float())


@given(seed=st.integers(0, 1000), channels=st.sampled_from([1, 3]), brightest=st.integers(1, 255))
def test_the_result_spans_the_pixels_range(seed: int, channels: int, brightest: int) -> None:
    images = random_images(channels, seed).clamp(max=brightest)
    found = published(images, torch.arange(6) % 3, task(3))
    assert (found.amax(dim=(1, 2, 3)) == 255).all()
    assert found.min() >= 0


def test_a_black_image_stays_black() -> None:
    images = random_images(1)
    images[2] = 0
    found = published(images, torch.arange(6) % 3, task(3))
    assert (found[2] == 0).all()
    assert found.isfinite().all()


@pytest.mark.parametrize("kernel_size", [1, 4])
def test_a_filter_needs_a_middle_and_a_neighbour(kernel_size: int) -> None:
    with pytest.raises(ValidationError, match="kernel_size"):
        task(3, kernel_size)
