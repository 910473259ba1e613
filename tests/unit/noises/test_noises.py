"""What holds for every noise method, and the methods against one another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.noises.method import Batch
from unlearnable.noises.rem import noise as rem

from .problems import (
    ALL_BUT_ONE,
    AUGMENTATIONS,
    CLASSES,
    CPU,
    IMAGEWISE,
    SETTINGS,
    draws,
    free,
    learned_from,
    of,
    problem,
    share_equal,
)

# ---- what holds for every method


@pytest.mark.parametrize("method", IMAGEWISE)
@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius(
    method: str, rho_u: int, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    d = of(method).noise(fixed, Batch(images, labels, problem(method, rho_u=rho_u), draws()))
    assert d.shape == images.shape
    assert d.abs().max() <= rho_u
    assert torch.equal(d, d.round())
    assert (d < 0).any()
    assert (d > 0).any()


@pytest.mark.parametrize("method", IMAGEWISE)
def test_equal_draws_give_equal_noise_and_others_give_another(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    noise = of(method).noise
    first, again, other = (noise(fixed, Batch(*batch, problem(method), draws(seed))) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_error_minimizing_noise_lowers_the_loss(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    d = of(method).noise(fixed, Batch(images, labels, problem(method, Augmentation()), draws()))
    assert (fixed.losses(images + d, labels) < fixed.losses(images, labels)).all()


@pytest.mark.parametrize("method", [*IMAGEWISE, "free", "augmented"])
@pytest.mark.parametrize("clip", ["box", "pixels"])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_a_descent_starts_where_the_noise_does_and_under_its_first_draw(
    method: str, clip: str, augmentation: Augmentation, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    name, change = {"free": ("rem", {"attack": "free"}), "augmented": ("em", {"frame": "augmented"})}.get(
        method, (method, {})
    )
    task = problem(name, augmentation, **({} if name == "tap" else {"clip": clip}))  # type: ignore[arg-type]
    task = replace(task, settings=task.settings.model_copy(update=change))
    first: list[tuple[Tensor, Tensor]] = []

    class Watched(FrozenNetwork):
        def gradient(self, pixels: Tensor, targets: Tensor) -> Tensor:
            first.append((pixels, targets))
            return super().gradient(pixels, targets)

    of(name).noise(Watched(fixed.network, torch.float32), Batch(*batch, task, draws(3)))
    descent = of(name).descent(Batch(*batch, task, draws(3)), 0)
    pixels, targets = first[0]
    torch.testing.assert_close(descent.seen(descent.start), pixels[: len(batch[0])])
    assert torch.equal(descent.targets, targets[: len(batch[0])])


@pytest.mark.parametrize("method", [*IMAGEWISE, "em-classwise"])
def test_a_descent_lowers_the_loss_of_every_other_image(method: str, train: Split, single: FrozenNetwork) -> None:
    images, labels = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(train.labels)
    task = problem(method, AUGMENTATIONS[1])
    basis = of(method).basis(single, train, task, 4, CPU)
    d = of(method).noise(basis, Batch(images, labels, task, draws()))
    passes = single.images
    descent = of(method).descent(Batch(images, labels, task, draws()), 4)
    start, end = descent.losses(single, d)
    assert start.shape == end.shape == (20,)
    assert end.mean() < start.mean()
    assert torch.equal(end, single.losses(descent.seen(d)[::2], descent.targets[::2]))
    assert single.images == passes
    same = descent.losses(single, descent.start.round())
    assert torch.equal(*same)


def test_class_noises_descend_from_the_draw_of_their_class(train: Split, single: FrozenNetwork) -> None:
    task = problem("em-classwise", clip="box")
    still = replace(task, settings=task.settings.model_copy(update={"alpha_u": 1e-9}))
    noises = of("em-classwise").basis(single, train, still, 4, CPU)
    images, labels = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(train.labels)
    descent = of("em-classwise").descent(Batch(images, labels, task, draws()), 4)
    assert torch.equal(descent.start.round(), noises[labels])


@pytest.mark.parametrize("method", ["em", "em-classwise", "rem", "sem", "clean"])
def test_the_source_model_learns_from_valid_pixels(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = replace(problem("rem"), settings=SETTINGS[method])
    pixels = learned_from(method, fixed, *batch, task, draws())
    assert pixels.shape == batch[0].shape
    assert pixels.min() >= 0
    assert pixels.max() <= 255


@pytest.mark.parametrize(
    ("method", "rho_a", "expected"),
    [
        ("clean", 4, 0),
        ("em", 4, 3),  # K_u
        ("em-classwise", 4, 3),
        ("rem", 4, 3 * 2 * (2 + 1) + 2),  # K_u * J * (K_a + 1) + K_a
        ("rem", 0, 3 * 2),  # K_u * J: an adversary without a radius takes no steps
        ("sem", 4, 3 * 2 + 2),  # K_u * J + K_a: theta is still trained against the whole attack
        ("sem", 0, 3 * 2),
    ],
)
def test_a_training_step_costs_what_the_paper_counts(
    method: str, rho_a: int, expected: int, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = replace(problem("rem", rho_a=rho_a), settings=SETTINGS[method])
    learned_from(method, fixed, *batch, task, draws())
    assert fixed.images == expected * len(batch[0])
    assert of(method).training_passes(task) == expected


@pytest.mark.parametrize(
    ("attack", "rho_a", "noise", "lesson"),
    [
        ("fresh", 4, 3 * 2 * (2 + 1), 2),
        ("fresh", 0, 3 * 2, 0),
        ("free", 4, 3 * 2, 2),  # one pass serves both players, whatever the radius of one
        ("free", 0, 3 * 2, 0),
    ],
)
def test_rem_counts_the_passes_that_it_makes(
    attack: str, rho_a: int, noise: int, lesson: int, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = problem("rem", rho_a=rho_a)
    task = free(task) if attack == "free" else task
    rem.noise(fixed, Batch(*batch, task, draws()))
    assert fixed.images == rem.noise_passes(task) * len(batch[0]) == noise * len(batch[0])
    rem.training_inputs(fixed, Batch(*batch, task, draws()))
    assert fixed.images == (noise + rem.training_passes(task)) * len(batch[0])
    assert rem.training_passes(task) == noise + lesson


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("clip", ["box", "pixels"])
def test_steps_that_an_adversary_without_a_radius_leaves_out_change_no_noise_and_no_draw(
    clip: str, augmentation: Augmentation, network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = problem("rem", augmentation, clip, rho_a=0)
    made, expected = draws(4), draws(4)
    steps_made, _ = plain.robust_noise(network, *batch, task, task.settings.k_a, expected)
    assert share_equal(rem.noise(fixed, Batch(*batch, task, made)), steps_made.round()) >= ALL_BUT_ONE
    assert torch.equal(made.get_state(), expected.get_state())


# ---- the methods against one another


@pytest.mark.parametrize("clip", ["box", "pixels"])
def test_rem_without_adversary_and_augmentation_is_em(
    clip: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    noises = [
        of(method).noise(fixed, Batch(*batch, problem(method, Augmentation(), clip, rho_a=0), draws()))
        for method in ("rem", "em")
    ]
    assert torch.equal(*noises)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_sem_is_rem_without_ascent_steps(
    augmentation: Augmentation, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    sem = of("sem").noise(fixed, Batch(*batch, problem("sem", augmentation), draws()))
    no_steps = replace(problem("rem", augmentation), settings=SETTINGS["rem"].model_copy(update={"k_a": 0}))
    assert torch.equal(sem, of("rem").noise(fixed, Batch(*batch, no_steps, draws())))
    assert not torch.equal(sem, of("rem").noise(fixed, Batch(*batch, problem("rem"), draws())))


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_black_pixels_keep_their_random_start_unless_the_noise_is_clipped_to_pixels(
    method: str, fixed: FrozenNetwork
) -> None:
    black = torch.zeros(3, 1, 6, 8).double()
    start = plain.start(black, 8, draws())

    def noise(clip: str) -> Tensor:
        task = problem(method, Augmentation(), clip)
        d: Tensor = of(method).noise(fixed, Batch(black, torch.arange(3), task, draws()))
        return d

    below = start < 0
    assert torch.equal(noise("box")[below], start[below].round())  # invisible: clamped to black once published
    assert (noise("pixels") >= 0).all()
    assert (noise("pixels")[below] > 0).double().mean() > 0.2


def test_the_papers_own_clipping_is_the_default() -> None:
    """Fu et al. clip the noise of REM to its box only; Huang et al. clip the image that carries EM's as well."""
    assert [SETTINGS[method].clip for method in ("em", "rem", "sem")] == ["pixels", "box", "box"]


# ---- resized crops


@pytest.mark.parametrize("method", ["em", "em-classwise", "rem", "sem", "tap"])
def test_noise_is_as_large_as_the_image_and_lessons_as_the_resized_crop(method: str, train: Split) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES))
    wide = Split(np.random.default_rng(0).integers(0, 256, (9, 12, 14, 1), np.uint8), train.labels[:9], train.classes)
    images, labels = torch.from_numpy(wide.images[:]).permute(0, 3, 1, 2).float(), torch.from_numpy(wide.labels)
    module, task = of(method), problem(method, Augmentation(flip=True, resized_crop=8))
    with frozen(network, torch.float32) as fixed_:
        basis = module.basis(fixed_, wide, task, 0, CPU)
        d = module.noise(basis, Batch(images, labels, task, draws()))
        assert d.shape == images.shape
        assert 0 < d.abs().max() <= 8
        if method != "tap":
            pixels, d = module.training_inputs(fixed_, Batch(images, labels, task, draws()))
            assert pixels.shape == (9, 1, 8, 8)
            assert d.shape == images.shape
