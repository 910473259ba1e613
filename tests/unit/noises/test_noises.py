"""The noise methods, against one another and against plain, slow versions written from the papers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import plain
from unlearnable.compute.augment import draw
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.clean.settings import Clean
from unlearnable.noises.descent import minimise
from unlearnable.noises.em.settings import Em
from unlearnable.noises.em_classwise import noise as em_classwise
from unlearnable.noises.em_classwise.settings import EmClasswise
from unlearnable.noises.method import Batch, NoiseMethod, Problem, method_of
from unlearnable.noises.rem import noise as rem
from unlearnable.noises.rem.settings import Rem
from unlearnable.noises.sem.settings import Sem
from unlearnable.noises.tap.settings import Tap

CPU = torch.device("cpu")
CLASSES = 3
IMAGEWISE = ["em", "rem", "sem", "tap"]  # the methods that give every image a noise of its own
SETTINGS: dict[str, Any] = {
    "clean": Clean(algorithm="clean"),
    "em": Em(algorithm="em", k_u=3, alpha_u=0.4),
    "em-classwise": EmClasswise(algorithm="em-classwise", k_u=3, alpha_u=0.4),
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
) -> Problem[Any]:
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
def single(network: nn.Module) -> Any:
    """The network in single precision, for what converts images itself."""
    with frozen(copy.deepcopy(network).float(), torch.float32) as network_:
        yield network_


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images with pixels at and near both ends of the range, where clipping matters."""
    images = torch.randint(-60, 316, (7, 1, 6, 8), generator=draws(7)).clamp(0, 255).double()
    return images, torch.arange(7) % CLASSES


def of(method: str) -> NoiseMethod:
    return method_of(SETTINGS[method])


def free(task: Problem[Any]) -> Problem[Any]:
    """The problem with one pass for both players."""
    return replace(task, settings=task.settings.model_copy(update={"attack": "free"}))


def learned_from(
    method: str, fixed: FrozenNetwork, images: Tensor, labels: Tensor, task: Problem[Any], generator: torch.Generator
) -> Tensor:
    """What the source model learns from at one step."""
    pixels: Tensor = of(method).training_inputs(fixed, Batch(images, labels, task, generator))[0]
    return pixels


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
    assert share_equal(rem.noise(fixed, Batch(*batch, task, made)), steps_made.round()) >= 0.999
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


# ---- without the expectation


@pytest.mark.parametrize("attack", ["fresh", "free"])
def test_the_identity_expectation_is_that_of_no_augmentation(
    attack: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    for method in ("rem", "sem") if attack == "fresh" else ("rem",):
        task = problem(method)
        change = {"expectation": "identity"} | ({"attack": attack} if method == "rem" else {})
        ablated = replace(task, settings=task.settings.model_copy(update=change))
        noise = of(method).noise
        found = noise(fixed, Batch(*batch, ablated, draws()))
        plainly = replace(ablated, augmentation=Augmentation(), settings=task.settings.model_copy(update=change))
        assert torch.equal(found, noise(fixed, Batch(*batch, plainly, draws())))
        assert not torch.equal(
            found,
            noise(
                fixed,
                Batch(
                    *batch,
                    replace(task, settings=plainly.settings.model_copy(update={"expectation": "transform"})),
                    draws(),
                ),
            ),
        )


def test_the_identity_expectation_still_averages_over_j_draws_of_the_adversary(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = problem("rem")
    for j in (1, 4):
        before = fixed.images
        settings = task.settings.model_copy(update={"expectation": "identity", "j": j})
        of("rem").noise(fixed, Batch(*batch, replace(task, settings=settings), draws()))
        assert fixed.images - before == settings.k_u * j * (settings.k_a + 1) * len(batch[0])


def test_rem_with_the_identity_expectation_and_no_adversary_is_em(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    task = problem("rem", AUGMENTATIONS[3], "pixels", rho_a=0)
    ablated = replace(task, settings=task.settings.model_copy(update={"expectation": "identity"}))
    noise = of("rem").noise(fixed, Batch(*batch, ablated, draws()))
    assert torch.equal(noise, of("em").noise(fixed, Batch(*batch, problem("em"), draws())))


@pytest.mark.parametrize("method", ["rem", "sem"])
def test_the_identity_expectation_leaves_the_transform_of_source_training(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem(method, Augmentation(flip=True), rho_a=0)
    ablated = replace(task, settings=task.settings.model_copy(update={"expectation": "identity"}))
    pixels, d = of(method).training_inputs(fixed, Batch(images, labels, ablated, draws()))
    protected = (images + d).clamp(0, 255)
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(pixels, protected, strict=True)]
    same = [torch.equal(a, b) for a, b in zip(pixels, protected, strict=True)]
    assert any(flipped)
    assert any(same)
    assert all(a != b for a, b in zip(flipped, same, strict=True))


# ---- the augmented frame


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
        with pytest.raises(UserError, match=r"frame augmented .* 8x8 pixels, but .* 12x12; use frame: raw"):
            call(fixed, Batch(images, labels, task, draws()))


# ---- one noise for a class


@pytest.fixture
def train(batch: tuple[Tensor, Tensor]) -> Split:
    """40 images whose labels are not in turn, so that no row number is a label."""
    images = np.random.default_rng(2).integers(0, 256, (40, 6, 8, 1), np.uint8)
    labels = np.random.default_rng(3).integers(0, CLASSES, 40)
    return Split(images, labels, ["cat", "dog", "owl"])


def class_step(fixed: FrozenNetwork, images: Tensor, labels: Tensor, noises: Tensor, task: Problem[Any]) -> Tensor:
    """One batch of Huang et al.'s class-wise noise, written out class by class and image by image."""
    s, after = task.settings, noises.clone()
    for label in set(labels.tolist()):
        moved = []
        for x in images[labels == label]:
            d = (x + noises[label]).clamp(0, 255) - x
            for _ in range(s.k_u):
                g = fixed.gradient((x + d)[None], torch.tensor([label]))[0]
                d = (d - s.alpha_u * task.rho_u * g.sign()).clamp(-task.rho_u, task.rho_u)
                d = (x + d).clamp(0, 255) - x
            moved.append(d)
        after[label] = torch.stack(moved).mean(0)
    return after


def test_a_class_gets_the_mean_of_its_images_noises_and_others_keep_theirs(
    fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, _ = batch
    labels = torch.tensor([2, 0, 2, 2, 0, 2, 2])
    task = problem("em-classwise")
    noises = torch.empty(CLASSES, *images.shape[1:]).double().uniform_(-8, 8, generator=draws(1))
    found = em_classwise.updated(fixed, Batch(images, labels, task, draws()), noises)
    torch.testing.assert_close(found, class_step(fixed, images, labels, noises, task), rtol=1e-9, atol=1e-9)
    assert torch.equal(found[1], noises[1])
    assert (found[[0, 2]] != noises[[0, 2]]).any(3).any(2).all()
    assert found.abs().max() <= 8


def test_source_training_moves_the_noises_of_classes(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    images, _ = batch
    labels = torch.tensor([2, 0, 2, 2, 0, 1, 2])
    task = problem("em-classwise", Augmentation())
    noises = torch.empty(CLASSES, *images.shape[1:]).double().uniform_(-8, 8, generator=draws(1))
    pixels, d = em_classwise.training_inputs(fixed, Batch(images, labels, task, draws(), noises[labels]))
    expected = class_step(fixed, images, labels, noises, task)
    torch.testing.assert_close(d, expected[labels], rtol=1e-9, atol=1e-9)
    assert torch.equal(pixels, (images + d.round()).clamp(0, 255))


def test_class_noises_are_made_on_a_balanced_share_from_a_random_start(
    train: Split, single: FrozenNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = problem("em-classwise")
    task = replace(task, settings=task.settings.model_copy(update={"share": 0.5, "rounds": 2, "k_u": 1}))
    seen: list[tuple[Tensor, Tensor]] = []
    updated = em_classwise.updated

    def seeing(network: FrozenNetwork, batch: Batch[Any], noises: Tensor) -> Tensor:
        seen.append((batch.images, batch.labels))
        return updated(network, batch, noises)

    with monkeypatch.context() as patch:
        patch.setattr(em_classwise, "updated", seeing)
        patch.setattr(em_classwise, "BATCH", 6)
        noises = em_classwise.basis(single, train, task, 4, CPU)
    assert [len(labels) for _, labels in seen] == [6, 6, 6, 2] * 2
    labels = torch.cat([labels for _, labels in seen])
    shares = np.bincount(train.labels) / 2
    assert (np.abs(torch.bincount(labels[:20]).numpy() - shares) <= 1).all()
    first, second = (
        sorted(map(float, torch.cat([x for x, _ in part]).flatten(1) @ torch.arange(48.0)))
        for part in (seen[:4], seen[4:])
    )
    assert first == second  # the same images in both rounds
    assert not torch.equal(labels[:20], labels[20:])  # in another order

    assert noises.shape == (CLASSES, 1, 6, 8)
    assert torch.equal(noises, noises.round())
    assert noises.abs().max() <= 8
    assert single.images == 2 * 20
    assert em_classwise.noise_passes(task) == 1  # of half the images, twice
    one, again, other = (em_classwise.basis(single, train, task, seed, CPU) for seed in (4, 4, 5))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_class_noises_lower_the_loss_of_their_classes(train: Split, single: FrozenNetwork) -> None:
    task = problem("em-classwise", rho_u=40)
    noises = em_classwise.basis(single, train, task, 0, CPU)
    images = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2).float()
    labels = torch.from_numpy(train.labels)
    mine, of_the_next = (
        em_classwise.noise(noises, Batch(images, y, task, draws())) for y in (labels, (labels + 1) % CLASSES)
    )
    losses = [float(single.losses((images + d).clamp(0, 255), labels).mean()) for d in (mine, 0 * mine, of_the_next)]
    assert losses[0] < losses[1] - 0.1 < losses[2] - 0.1


def test_no_image_gets_the_noise_of_a_row_and_no_class_that_of_an_image(train: Split, fixed: FrozenNetwork) -> None:
    images = torch.from_numpy(train.images[:12]).permute(0, 3, 1, 2).double()
    labels = torch.tensor([2, 2, 1, 0, 0, 1, 2, 0, 1, 1, 2, 0])
    noises = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 6, 8)
    d = em_classwise.noise(noises, Batch(images, labels, problem("em-classwise"), draws()))
    assert d[:, 0, 0, 0].tolist() == labels.tolist()  # by the image's label, not by its place

    own = of("em").noise(fixed, Batch(images, labels, problem("em"), draws()))
    assert len({tuple(row.flatten().tolist()) for row in own}) == 12  # each image's own, not its class's


def test_a_class_that_the_share_lacks_keeps_its_draw(single: FrozenNetwork) -> None:
    images = np.zeros((40, 6, 8, 1), np.uint8)
    train = Split(images, np.array([0] * 39 + [1]), ["cat", "dog", "owl"])
    task = problem("em-classwise", clip="box")
    settings = task.settings.model_copy(update={"share": 0.05, "rounds": 1})
    noises = em_classwise.basis(single, train, replace(task, settings=settings), 0, CPU)
    assert noises[2].abs().max() > 4
    assert len(torch.unique(noises[2])) > 5


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

    def recording(batch: Batch[Any], gradient: Callable[[Tensor], Tensor]) -> Tensor:
        def recorded(protected: Tensor) -> Tensor:
            found.append(gradient(protected))
            return found[-1]

        return minimise(batch, recorded)

    monkeypatch.setattr(rem, "minimise", recording)
    d = of(method).noise(fixed, Batch(images, labels, task, draws(4)))

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
            t = plain.transform(task.augmentation, images, generator)
            attacked = (images + d + e).requires_grad_()
            (part,) = torch.autograd.grad(F.cross_entropy(network(t(attacked)), labels, reduction="sum"), attacked)
            g = g + part
        e = (e + s.alpha_a * task.rho_a * g.sign()).clamp(-task.rho_a, task.rho_a)
        d = plain.clip(d - s.alpha_u * task.rho_u * g.sign(), images, task)
    found = of("rem").noise(fixed, Batch(images, labels, task, draws(6)))
    assert share_equal(found, d.round()) >= 0.999
    assert fixed.images == s.k_u * s.j * len(images)


def test_a_free_adversary_of_radius_0_is_em(fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]) -> None:
    noises = [
        method_of(task.settings).noise(fixed, Batch(*batch, task, draws()))
        for task in (free(problem("rem", Augmentation(), "pixels", rho_a=0)), problem("em", Augmentation()))
    ]
    assert torch.equal(*noises)


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_source_training_can_go_on_from_an_earlier_noise(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem(method, Augmentation(), clip="box", rho_u=40)
    tiny = replace(task, settings=task.settings.model_copy(update={"k_u": 1, "alpha_u": 0.025}))  # steps of one
    step = of(method).training_inputs
    _, first = step(fixed, Batch(images, labels, task, draws()))
    moved = (step(fixed, Batch(images, labels, tiny, draws(1), first))[1] - first).abs()
    assert moved.max() == 1
    assert moved.mean() > 0.1
    assert (step(fixed, Batch(images, labels, tiny, draws(1)))[1] - first).abs().max() > 1


@pytest.mark.parametrize("method", ["em", "rem", "sem"])
def test_source_training_learns_from_the_noise_that_it_reports(
    method: str, fixed: FrozenNetwork, batch: tuple[Tensor, Tensor]
) -> None:
    images, labels = batch
    task = problem(method, Augmentation(), rho_a=0)
    pixels, d = of(method).training_inputs(fixed, Batch(images, labels, task, draws()))
    assert torch.equal(d, of(method).noise(fixed, Batch(images, labels, task, draws())))
    assert torch.equal(pixels, (images + d).clamp(0, 255))


@pytest.mark.parametrize("method", ["rem", "sem"])
def test_micro_batches_change_no_noise(method: str, network: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    noises = []
    for micro_batch in (None, 3):  # of 14 joined images
        with frozen(network, torch.float32, micro_batch) as fixed:
            noises.append(of(method).noise(fixed, Batch(*batch, problem(method), draws())))
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
    found = of("em").noise(fixed, Batch(images, labels, task, draws(2)))
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
        d = of("tap").noise(fixed, Batch(images, torch.arange(CLASSES), task, draws()))
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
            t = plain.transform(task.augmentation, images, generator)
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

    found = of("tap").noise(fixed, Batch(images, labels, task, draws(3)))
    assert share_equal(found, expected) >= 0.999
    assert (images + found).min() >= 0
    assert (images + found).max() <= 255


def test_tap_presets_are_those_of_the_papers() -> None:
    original, fu2022 = Tap(algorithm="tap"), Tap(algorithm="tap", preset="fu2022")
    assert (original.steps, round(original.alpha * 8, 9), original.restarts) == (250, 0.4, 8)
    assert (fu2022.steps, round(fu2022.alpha * 8, 9), fu2022.restarts) == (250, 0.064, 1)
    assert Tap(algorithm="tap", steps=3).steps == 3
