"""Error-minimizing noise: its two frames, and the plain algorithm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute.augment import draw
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.errors import UserError
from unlearnable.noises.method import Batch, Problem

from .problems import (
    ALL_BUT_ONE,
    draws,
    of,
    problem,
    share_equal,
)


def augmented(task: Problem[Any]) -> Problem[Any]:
    return replace(task, settings=task.settings.model_copy(update={"frame": "augmented"}))


def test_without_augmentation_the_two_frames_of_em_are_one(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    em, task = of("em"), problem("em", Augmentation())
    raw, other = (em.noise(fixed, Batch(*batch, t, draws())) for t in (task, augmented(task)))
    assert torch.equal(raw, other)
    for a, b in zip(
        *(em.training_inputs(fixed, Batch(*batch, t, draws())) for t in (task, augmented(task))), strict=True
    ):
        assert torch.equal(a, b)


def test_in_the_augmented_frame_em_is_computed_on_a_transformed_image_and_stored_as_it_is(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    em, task = of("em"), augmented(problem("em"))
    generator = draws(5)
    z = draw(task.augmentation, images, generator)(images)
    expected = em.noise(fixed, Batch(z, labels, problem("em", Augmentation()), generator))
    assert torch.equal(em.noise(fixed, Batch(images, labels, task, draws(5))), expected)
    pixels, d = em.training_inputs(fixed, Batch(images, labels, task, draws(5)))
    assert torch.equal(d, expected)
    assert torch.equal(pixels, (z + d).clamp(0, 255))  # no second transform


def test_noise_of_another_size_than_the_published_image_is_refused(fixed: FrozenNetwork) -> None:
    images, labels = torch.zeros(3, 1, 12, 12), torch.arange(3)
    em, task = of("em"), augmented(problem("em", Augmentation(resized_crop=8)))
    for call in (em.noise, em.training_inputs):
        with pytest.raises(UserError, match=r"frame: augmented .* 8x8 pixels, but .* 12x12; use frame: raw"):
            call(fixed, Batch(images, labels, task, draws()))


@pytest.mark.parametrize("clip", ["box", "pixels"])
@pytest.mark.parametrize("rho_u", [8, 40])
def test_em_equals_the_plain_algorithm(
    rho_u: int, clip: str, network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem("em", clip=clip, rho_u=rho_u)
    d = plain.em_noise(network, images, labels, task, draws(2))
    found = of("em").noise(fixed, Batch(images, labels, task, draws(2)))
    assert share_equal(found, d.round()) >= ALL_BUT_ONE
