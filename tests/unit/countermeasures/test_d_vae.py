"""D-VAE: the autoencoder, its loss, its training and the purified images."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from unlearnable.countermeasures.d_vae import countermeasure as d_vae
from unlearnable.countermeasures.d_vae.network import Autoencoder, Parts, loss, rate
from unlearnable.countermeasures.d_vae.settings import DVae
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.randomness import generator

CLASSES = 3
NAMES = ["a", "b", "c"]
SETTINGS = DVae(kind="d-vae", steps=3, batch_size=16, width=4)
SHAPES = [(28, 28, 1), (32, 32, 3), (30, 30, 1), (9, 9, 3)]


def split(shape: tuple[int, int, int] = (9, 9, 3), rows: int = 45) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (rows, *shape), np.uint8)
    return Split(images, np.arange(rows, dtype=np.int64) % CLASSES, NAMES)


def poisoned(amplitude: float = 12, rows: int = 600, side: int = 12) -> tuple[Array, Array, Split]:
    """Blocks of one level, the patches of a class each, and images with the patches of their class."""
    draws = np.random.default_rng(0)
    images = draws.uniform(70, 186, (rows, 3, 3, 1)).repeat(side // 3, 1).repeat(side // 3, 2)
    signs = draws.choice([-1.0, 1.0], (CLASSES, side // 2, side // 2, 1))
    patterns = amplitude * signs.repeat(2, 1).repeat(2, 2)
    labels = np.arange(rows, dtype=np.int64) % CLASSES
    return images, patterns, Split(np.rint(images + patterns[labels]).astype(np.uint8), labels, NAMES)


def change_of(train: Split, seed: int = 0, settings: DVae = SETTINGS) -> Callable[[Array], Array]:
    change = d_vae.build(settings, train, CLASSES, seed).images
    assert change is not None
    return change


def parts_of(seed: int, spread: float) -> tuple[Parts, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    image, perturbation, pixels = (torch.rand(5, 3, 8, 8, generator=draws) for _ in range(3))
    mean, log_variance = (spread * torch.randn(5, 4, 4, 4, generator=draws) for _ in range(2))
    return Parts(image, spread * (perturbation - 0.5), mean, log_variance), pixels


# ---- the loss


@pytest.mark.parametrize("spread", [0.05, 1.0])  # rate and energy below and above their limits
@pytest.mark.parametrize("limit", [0.0, 3.0, 8.0])
def test_the_loss_is_both_errors_and_what_exceeds_the_limits(spread: float, limit: float) -> None:
    parts, pixels = parts_of(1, spread)
    codes = Normal(parts.mean, (parts.log_variance / 2).exp())
    divergence = kl_divergence(codes, Normal(0.0, 1.0)).sum(1).mean()
    assert torch.isclose(rate(parts), divergence)
    image, perturbation, x = parts.image.numpy(), parts.perturbation.numpy(), pixels.numpy()
    errors = np.mean((image - x) ** 2) + np.mean((np.clip(image + perturbation, 0, 1) - x) ** 2)
    expected = errors + 0.01 * max(float(divergence), limit) + max(np.mean(perturbation**2), 0.002)
    assert float(loss(parts, pixels, limit)) == pytest.approx(expected, rel=1e-5)


def test_a_rate_below_its_limit_and_a_small_perturbation_pull_at_nothing() -> None:
    parts, _ = parts_of(2, 0.05)
    parts = Parts(*(part.requires_grad_() for part in parts))
    exact = (parts.image + parts.perturbation).detach()
    loss(parts, exact, 1.0).backward()  # type: ignore[no-untyped-call]
    assert parts.mean.grad is not None
    assert not parts.mean.grad.any()
    loss(parts, exact, 0.0).backward()  # type: ignore[no-untyped-call]
    assert parts.mean.grad.any()


# ---- the autoencoder


@pytest.mark.parametrize("shape", [*SHAPES, (10, 7, 1)])
def test_the_parts_have_the_shape_of_the_images_and_codes_half_of_it(shape: tuple[int, int, int]) -> None:
    height, width, channels = shape
    network = Autoencoder(shape, CLASSES, 4)
    parts = network(torch.rand(5, channels, height, width), torch.arange(5) % CLASSES)
    assert parts.image.shape == parts.perturbation.shape == (5, channels, height, width)
    assert parts.mean.shape == parts.log_variance.shape == (5, 4, (height + 1) // 2, (width + 1) // 2)
    assert 0 <= parts.image.min() <= parts.image.max() <= 1
    assert not parts.perturbation.any()


def test_only_the_perturbation_knows_the_class_and_only_draws_move_the_codes() -> None:
    network = Autoencoder((8, 8, 1), CLASSES, 4).eval()
    nn.init.normal_(network.perturbation[-1].weight)  # type: ignore[arg-type]
    pixels, one, other = torch.rand(5, 1, 8, 8), torch.zeros(5, dtype=torch.long), torch.ones(5, dtype=torch.long)
    first, second = network(pixels, one), network(pixels, other)
    assert torch.equal(first.image, second.image)
    assert not torch.allclose(first.perturbation, second.perturbation)
    drawn, again = (network(pixels, one, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(drawn.image, again.image)
    assert not torch.allclose(drawn.image, first.image)
    assert torch.equal(drawn.mean, first.mean)
    noise = torch.randn(drawn.mean.shape, generator=torch.Generator().manual_seed(3))
    features = network.features(drawn.mean + (drawn.log_variance / 2).exp() * noise)
    image = nn.functional.pixel_shuffle(network.image(features), 2).sigmoid()
    assert torch.allclose(drawn.image, image)


# ---- its training


@pytest.mark.parametrize("count", [10, 16, 45])
def test_batches_shuffle_all_rows_and_then_begin_again(count: int) -> None:
    found = list(d_vae.batches(SETTINGS.model_copy(update={"steps": 5}), count, 7, 1))
    size, first = min(16, count), torch.randperm(count, generator=generator(7, "d-vae", 1, "order", 0))
    assert [len(rows) for rows in found] == [size] * 5
    assert np.array_equal(found[0], first[:size].sort().values)
    assert all(len(set(rows)) == size for rows in found)
    of_an_order = count // size
    assert len(set(np.concatenate(found[:of_an_order]))) == of_an_order * size


def test_the_codes_carry_what_the_limit_of_their_rate_allows() -> None:
    *_, train = poisoned()
    pixels = torch.from_numpy(train.images[:]).permute(0, 3, 1, 2) / 255

    def reached(limit: float) -> float:
        settings = DVae(kind="d-vae", steps=80, batch_size=32, width=8, kld_limit_1=limit)
        network = d_vae.fitted(settings, train, CLASSES, 0, 1)
        with torch.no_grad():
            return float(rate(network(pixels, torch.from_numpy(train.labels))))

    assert reached(0.5) < 1 < reached(3.0) < 4


def test_progress_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        change_of(split())
    assert "step 3/3, stage 1 of d-vae, loss 0." in caplog.text
    assert "step 3/3, stage 2 of d-vae, loss 0." in caplog.text


# ---- the purified images


@pytest.mark.parametrize("shape", SHAPES)
def test_images_keep_shape_and_type_and_pieces_change_nothing(shape: tuple[int, int, int]) -> None:
    train = split(shape, 150)  # more than a block
    change = change_of(train)
    whole = change(train.images[:])
    assert whole.shape == train.images.shape
    assert whole.dtype == np.uint8
    for size in (1, 7, 128):
        parts = [change(train.images[at : at + size]) for at in range(0, 150, size)]
        assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(change(train.images[::-1]), whole[::-1])


def test_seeds_alone_decide_and_no_draw_of_others_is_touched() -> None:
    train = split()
    train.images[:].setflags(write=False)
    train.labels.setflags(write=False)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    found = change_of(train, 4)(train.images[:])
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(change_of(train, 4)(train.images[:]), found)
    assert not np.array_equal(change_of(train, 5)(train.images[:]), found)


def test_two_stages_subtract_twice_and_keep_the_reconstruction() -> None:
    train = split()
    first = d_vae.fitted(SETTINGS, train, CLASSES, 0, 1)
    labels = torch.from_numpy(train.labels)

    @torch.no_grad()
    def without(network: Autoencoder, images: Array) -> Tensor:
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
        left: Tensor = (pixels - network(pixels, labels).perturbation).clamp(0, 1)
        return left

    left = np.rint(255 * without(first, train.images[:]).permute(0, 2, 3, 1).numpy()).astype(np.uint8)
    second = d_vae.fitted(SETTINGS, Split(left, train.labels, NAMES), CLASSES, 0, 2)
    with torch.no_grad():
        image = second(without(second, left), labels).image
    expected = 255 * image.permute(0, 2, 3, 1).numpy()
    assert np.abs(change_of(train)(train.images[:]) - expected).max() < 0.51


def told(images: Array, patterns: Array, labels: Array) -> float:
    """The share of the images whose class is that of the pattern with which they correlate most."""
    apart = (images - images.mean(0)).reshape(len(images), -1)
    return float(((apart @ patterns.reshape(CLASSES, -1).T).argmax(1) == labels).mean())


def test_the_pattern_of_a_class_no_longer_tells_it_and_the_image_stays() -> None:
    images, patterns, train = poisoned()
    found = change_of(train, settings=DVae(kind="d-vae", steps=200))(train.images[:]).astype(np.float64)

    def strength(noise: Array) -> float:
        """Root mean square of the classes' mean noise, less the mean of all, in grey levels."""
        means = np.stack([noise[train.labels == label].mean(0) for label in range(CLASSES)])
        return float(np.sqrt(((means - means.mean(0)) ** 2).mean()))

    assert strength(found - images) < 0.5 * strength(train.images[:] - images)
    assert told(train.images[:], patterns, train.labels) > 0.85
    assert told(found, patterns, train.labels) < 0.65
    assert np.corrcoef(found.ravel(), images.ravel())[0, 1] > 0.95


# ---- what is refused


def test_images_that_it_was_not_fitted_on_are_refused() -> None:
    train = split()
    change = change_of(train)
    with pytest.raises(UserError, match="d-vae: an image is not one of the training images that it was fitted on"):
        change(255 - train.images[:])


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(UserError, match="d-vae: the images have 2 channel"):
        change_of(split((8, 8, 2)))


def test_a_temporary_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(dir: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(UserError, match=str(tmp_path)):
        change_of(split())
