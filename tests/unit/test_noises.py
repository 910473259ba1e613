"""The noise methods, against one another and against plain, slow versions written from the papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import plain
from unlearnable import registry
from unlearnable.attacks import FrozenNetwork, frozen
from unlearnable.descent import Problem, minimise
from unlearnable.noises import rem
from unlearnable.settings.dataset import Augmentation
from unlearnable.settings.methods.em import Em
from unlearnable.settings.methods.rem import Rem, Sem
from unlearnable.settings.methods.tap import Tap

CLASSES = 3
SETTINGS: dict[str, Any] = {
    "em": Em(algorithm="em", k_u=3, alpha_u=0.4),
    "rem": Rem(algorithm="rem", k_u=3, alpha_u=0.4, k_a=2, alpha_a=0.6, j=2),
    "sem": Sem(algorithm="sem", k_u=3, alpha_u=0.4, k_a=2, alpha_a=0.6, j=2),
    "tap": Tap(algorithm="tap", steps=4, alpha=0.3, restarts=3),
}
AUGMENTATIONS = [
    Augmentation(),
    Augmentation(flip=True),
    Augmentation(crop_padding=1),
    Augmentation(flip=True, crop_padding=2),
]


def problem(
    method: str, augmentation: Augmentation = AUGMENTATIONS[3], clip: str | None = None, **radii: int
) -> Problem:
    settings = SETTINGS[method].model_copy(update={"clip": clip} if clip else {})
    return Problem(settings, **({"rho_u": 8, "rho_a": 4} | radii), augmentation=augmentation, classes=CLASSES)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """A smooth network in double precision, with batch norm whose statistics are not the initial ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 6 * 8, CLASSES)
        )
        norm = body[1]
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.3, 2)

        class Scaled(nn.Module):
            def forward(self, pixels: Tensor) -> Tensor:
                return pixels / 255 - 0.5

        return nn.Sequential(Scaled(), body).double()


@pytest.fixture
def fixed(network: nn.Module) -> Any:
    with frozen(network, torch.float32) as network_:
        yield network_


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images with pixels at and near both ends of the range, where clipping matters."""
    images = torch.randint(-60, 316, (7, 1, 6, 8), generator=draws(7)).clamp(0, 255).double()
    return images, torch.arange(7) % CLASSES


def free(task: Problem) -> Problem:
    """The problem with one pass for both players."""
    return replace(task, settings=task.settings.model_copy(update={"attack": "free"}))


def learned_from(
    method: str, fixed: FrozenNetwork, images: Tensor, labels: Tensor, task: Problem, generator: torch.Generator
) -> Tensor:
    """What the source model learns from at one step."""
    module = registry.load("noises", method)
    d = module.noise(fixed, images, labels, task, generator)
    pixels: Tensor = module.training_inputs(fixed, images, labels, d, task, generator)
    return pixels


# ---- what holds for every method


@pytest.mark.parametrize("method", sorted(SETTINGS))
@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius(
    method: str, rho_u: int, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    d = registry.load("noises", method).noise(fixed, images, labels, problem(method, rho_u=rho_u), draws())
    assert d.shape == images.shape
    assert d.abs().max() <= rho_u
    assert torch.equal(d, d.round())
    assert (d < 0).any()
    assert (d > 0).any()


@pytest.mark.parametrize("method", sorted(SETTINGS))
def test_equal_draws_give_equal_noise_and_others_give_another(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    noise = registry.load("noises", method).noise
    first, again, other = (noise(fixed, *batch, problem(method), draws(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_error_minimizing_noise_lowers_the_loss(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    d = registry.load("noises", method).noise(fixed, images, labels, problem(method, Augmentation()), draws())
    assert (fixed.losses(images + d, labels) < fixed.losses(images, labels)).all()


@pytest.mark.parametrize("method", ["em", "rem", "sem", "clean"])
def test_the_source_model_learns_from_valid_pixels(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = replace(problem("rem"), settings=SETTINGS.get(method))
    pixels = learned_from(method, fixed, *batch, task, draws())
    assert pixels.shape == batch[0].shape
    assert pixels.min() >= 0
    assert pixels.max() <= 255


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("clean", 0),
        ("em", 3),  # K_u
        ("rem", 3 * 2 * (2 + 1) + 2),  # K_u * J * (K_a + 1) + K_a
        ("sem", 3 * 2 + 2),  # K_u * J + K_a: theta is still trained against the whole attack
    ],
)
def test_a_training_step_costs_what_the_paper_counts(
    method: str, expected: int, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = replace(problem("rem"), settings=SETTINGS.get(method))
    learned_from(method, fixed, *batch, task, draws())
    assert fixed.images == expected * len(batch[0])
    assert registry.load("noises", method).training_passes(task.settings) == expected


# ---- the methods against one another


@pytest.mark.parametrize("clip", ["box", "pixels"])
def test_rem_without_adversary_and_augmentation_is_em(
    clip: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    noises = [
        registry.load("noises", method).noise(fixed, *batch, problem(method, Augmentation(), clip, rho_a=0), draws())
        for method in ("rem", "em")
    ]
    assert torch.equal(*noises)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_sem_is_rem_without_ascent_steps(
    augmentation: Augmentation, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    sem = registry.load("noises", "sem").noise(fixed, *batch, problem("sem", augmentation), draws())
    no_steps = replace(problem("rem", augmentation), settings=SETTINGS["rem"].model_copy(update={"k_a": 0}))
    assert torch.equal(sem, registry.load("noises", "rem").noise(fixed, *batch, no_steps, draws()))
    assert not torch.equal(sem, registry.load("noises", "rem").noise(fixed, *batch, problem("rem"), draws()))


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_black_pixels_keep_their_random_start_unless_the_noise_is_clipped_to_pixels(
    method: str, fixed: FrozenNetwork
) -> None:
    black = torch.zeros(3, 1, 6, 8).double()
    start = plain.start(black, 8, draws())

    def noise(clip: str) -> Tensor:
        task = problem(method, Augmentation(), clip)
        d: Tensor = registry.load("noises", method).noise(fixed, black, torch.arange(3), task, draws())
        return d

    below = start < 0
    assert torch.equal(noise("box")[below], start[below].round())  # invisible: clamped to black once published
    assert (noise("pixels") >= 0).all()
    assert (noise("pixels")[below] > 0).double().mean() > 0.2


def test_the_papers_own_clipping_is_the_default() -> None:
    """Fu et al. clip the noise of REM to its box only; Huang et al. clip the image that carries EM's as well."""
    assert [SETTINGS[method].clip for method in ("em", "rem", "sem")] == ["pixels", "box", "box"]


# ---- against the plain versions


def share_equal(a: Tensor, b: Tensor) -> float:
    return float((a == b).double().mean())


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("method", ["rem", "sem"])
@pytest.mark.parametrize("rho_u", [8, 40])
@pytest.mark.parametrize("clip", ["box", "pixels"])
def test_noise_equals_the_plain_algorithm(
    method: str,
    augmentation: Augmentation,
    clip: str,
    rho_u: int,
    network: nn.Module,
    fixed: FrozenNetwork,
    batch: tuple[Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images, labels = batch
    task = problem(method, augmentation, clip, rho_u=rho_u)
    k_a = task.settings.k_a if method == "rem" else 0
    expected, gradients = plain.robust_noise(network, images, labels, task, k_a, draws(4))

    found: list[Tensor] = []

    def recording(x: Tensor, gradient: Callable[[Tensor], Tensor], *rest: Any) -> Tensor:
        def recorded(protected: Tensor) -> Tensor:
            found.append(gradient(protected))
            return found[-1]

        return minimise(x, recorded, *rest)

    monkeypatch.setattr(rem, "minimise", recording)
    d = registry.load("noises", method).noise(fixed, images, labels, task, draws(4))

    assert share_equal(d, expected.round()) >= 0.999
    start = images + plain.clip(plain.start(images, rho_u, draws(4)), images, task)
    reached = (start >= 0) & (start <= 255)  # elsewhere the clamp hides the noise from the loss
    assert reached.all() if clip == "pixels" else 0.4 < reached.double().mean() < 1
    scale = gradients[0].abs().max()
    torch.testing.assert_close(found[0] * reached / scale, gradients[0] / scale, rtol=1e-4, atol=1e-6)
    assert len(found) == len(gradients)


def test_the_free_adversary_ascends_by_the_gradients_of_the_descent(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = free(problem("rem", clip="pixels"))
    s, generator = task.settings, draws(6)
    d = plain.clip(plain.start(images, task.rho_u, generator), images, task)
    e = plain.start(images, task.rho_a, generator)
    for _ in range(s.k_u):
        e = (images + d + e).clamp(0, 255) - images - d
        g = torch.zeros_like(images)
        for _ in range(s.j):
            t = plain.transform(task.augmentation, len(images), generator)
            attacked = (images + d + e).requires_grad_()
            (part,) = torch.autograd.grad(F.cross_entropy(network(t(attacked)), labels, reduction="sum"), attacked)
            g = g + part
        e = (e + s.alpha_a * task.rho_a * g.sign()).clamp(-task.rho_a, task.rho_a)
        d = plain.clip(d - s.alpha_u * task.rho_u * g.sign(), images, task)
    found = registry.load("noises", "rem").noise(fixed, images, labels, task, draws(6))
    assert share_equal(found, d.round()) >= 0.999
    assert fixed.images == s.k_u * s.j * len(images)


def test_a_free_adversary_of_radius_0_is_em(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    noises = [
        registry.load("noises", task.settings.algorithm).noise(fixed, *batch, task, draws())
        for task in (free(problem("rem", Augmentation(), "pixels", rho_a=0)), problem("em", Augmentation()))
    ]
    assert torch.equal(*noises)


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_noise_can_go_on_from_an_earlier_one(method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    images, labels = batch
    task = problem(method, Augmentation(), clip="box", rho_u=40)
    tiny = replace(task, settings=task.settings.model_copy(update={"k_u": 1, "alpha_u": 0.025}))  # steps of one
    noise = registry.load("noises", method).noise
    first = noise(fixed, images, labels, task, draws())
    moved = (noise(fixed, images, labels, tiny, draws(1), first) - first).abs()
    assert moved.max() == 1
    assert moved.mean() > 0.1
    assert (noise(fixed, images, labels, tiny, draws(1)) - first).abs().max() > 1


@pytest.mark.parametrize("method", ["rem", "sem"])
def test_micro_batches_change_no_noise(method: str, network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    noises = []
    for micro_batch in (None, 3):  # of 14 joined images
        with frozen(network, torch.float32, micro_batch) as fixed:
            noises.append(registry.load("noises", method).noise(fixed, *batch, problem(method), draws()))
    assert share_equal(*noises) >= 0.999


def test_source_training_sees_a_fresh_transform_under_a_fresh_attack(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    for method in ("rem", "sem"):
        task = problem(method)
        s, generator = task.settings, draws(9)
        d, _ = plain.robust_noise(network, images, labels, task, s.k_a if method == "rem" else 0, generator)
        expected = plain.attacked_inputs(network, images, labels, d, task, generator)
        found = learned_from(method, fixed, images, labels, task, draws(9))
        assert float(((found - expected).abs() < 1e-6).double().mean()) > 0.999


@pytest.mark.parametrize("clip", ["box", "pixels"])
@pytest.mark.parametrize("rho_u", [8, 40])
def test_em_equals_the_plain_algorithm(
    rho_u: int, clip: str, network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem("em", clip=clip, rho_u=rho_u)
    d = plain.em_noise(network, images, labels, task, draws(2))
    found = registry.load("noises", "em").noise(fixed, images, labels, task, draws(2))
    assert share_equal(found, d.round()) >= 0.999


# ---- TAP


def test_tap_pulls_towards_the_next_class_and_the_last_towards_the_first() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(CLASSES, CLASSES, bias=False)).double()
    with torch.no_grad():  # pixel c votes for class c
        network[1].weight.copy_(torch.eye(CLASSES) / 50)  # type: ignore[operator]
    images = torch.full((CLASSES, 1, 1, CLASSES), 100.0).double()
    settings = SETTINGS["tap"].model_copy(update={"steps": 20})
    task = replace(problem("tap", Augmentation()), settings=settings)
    with frozen(network, torch.float32) as fixed:
        d = registry.load("noises", "tap").noise(fixed, images, torch.arange(CLASSES), task, draws())
    assert d.view(CLASSES, CLASSES).tolist() == [[-8, 8, -8], [-8, -8, 8], [8, -8, -8]]


def test_tap_keeps_the_restart_of_lowest_loss_for_each_image(
    network: nn.Module, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem("tap")
    s, generator = task.settings, draws(3)
    targets = torch.tensor([(int(label) + 1) % CLASSES for label in labels])
    candidates = []
    for _ in range(s.restarts):
        protected = (images + plain.start(images, task.rho_u, generator)).clamp(0, 255)
        for _ in range(s.steps):
            t = plain.transform(task.augmentation, len(images), generator)
            protected.requires_grad_()
            (g,) = torch.autograd.grad(F.cross_entropy(network(t(protected)), targets), protected)
            d = (protected.detach() - s.alpha * task.rho_u * g.sign() - images).clamp(-task.rho_u, task.rho_u)
            protected = (images + d).clamp(0, 255)
        candidates.append((protected - images).round())
    with torch.no_grad():
        losses = torch.stack([F.cross_entropy(network(images + d), targets, reduction="none") for d in candidates])
    best = losses.argmin(0).tolist()
    assert len(set(best)) > 1  # else this would not tell a choice by image from one for all
    expected = torch.stack([candidates[restart][image] for image, restart in enumerate(best)])

    found = registry.load("noises", "tap").noise(fixed, images, labels, task, draws(3))
    assert share_equal(found, expected) >= 0.999
    assert (images + found).min() >= 0
    assert (images + found).max() <= 255


def test_tap_presets_are_those_of_the_papers() -> None:
    original, fu2022 = Tap(algorithm="tap"), Tap(algorithm="tap", preset="fu2022")
    assert (original.steps, round(original.alpha * 8, 9), original.restarts) == (250, 0.4, 8)
    assert (fu2022.steps, round(fu2022.alpha * 8, 9), fu2022.restarts) == (250, 0.064, 1)
    assert Tap(algorithm="tap", steps=3).steps == 3
