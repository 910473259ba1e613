"""D-VAE: its loss, its two stages, and what it takes off the images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from unlearnable.countermeasures.d_vae import countermeasure as d_vae
from unlearnable.countermeasures.d_vae.autoencoder import Autoencoder, loss
from unlearnable.countermeasures.d_vae.settings import DVae
from unlearnable.datasets.split import Array, Split

CLASSES = 3
SHORT = DVae(kind="d-vae", steps=3, batch_size=8)


def split(rows: int = 70, size: int = 12, channels: int = 1) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (rows, size, size, channels), np.uint8)
    return Split(images, np.random.default_rng(1).permutation(rows) % CLASSES, ["a", "b", "c"])


def purified(train: Split, settings: DVae = SHORT, seed: int = 0, pieces: int = 1) -> Array:
    change = d_vae.build(settings, train, CLASSES, seed).images
    assert change is not None
    return np.concatenate([change(part) for part in np.array_split(train.images[:], pieces)])


@pytest.mark.parametrize("limit", [0.0, 1e6])
def test_the_loss_is_distortion_rate_above_the_limit_and_the_error_of_the_perturbations(limit: float) -> None:
    torch.manual_seed(0)
    model, x, y = Autoencoder(1, CLASSES), torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    found = loss(model, x, y, limit, torch.Generator().manual_seed(5))
    mean, log_variance = model.encoder(x).chunk(2, 1)
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    rate = torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    code = posterior.mean + posterior.stddev * torch.randn(mean.shape, generator=torch.Generator().manual_seed(5))
    images = model.images(code)
    embedded = torch.stack([model.classes[label].expand(-1, 2, 2) for label in y])
    perturbations = model.perturbations(torch.cat([code, embedded], 1))
    wanted = (
        (images - x).pow(2).mean() + 0.01 * max(0.0, rate.item() - limit) + (x - images - perturbations).pow(2).mean()
    )
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_perturbations_do_not_train_the_images() -> None:
    torch.manual_seed(0)
    model, x, y = Autoencoder(1, CLASSES), torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])

    def gradients(of_class: float) -> list[Tensor]:
        model.zero_grad()
        with torch.no_grad():
            model.classes.fill_(of_class)
        loss(model, x, y, 1.0, torch.Generator().manual_seed(5)).backward()  # type: ignore[no-untyped-call]
        shared = [*model.encoder.parameters(), *model.images.parameters()]
        return [parameter.grad.clone() for parameter in shared if parameter.grad is not None]

    one, other = gradients(0.0), gradients(3.0)
    assert one
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


@pytest.mark.parametrize(("size", "channels"), [(12, 1), (9, 3)])
def test_purified_images_depend_on_the_seed_but_on_no_piece_and_no_global_state(size: int, channels: int) -> None:
    train = split(size=size, channels=channels)
    torch.manual_seed(1)
    found, state = purified(train), torch.get_rng_state()
    assert (found.shape, found.dtype) == (train.images.shape, np.uint8)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert np.array_equal(purified(train, pieces=9), found)
    assert not np.array_equal(purified(train, seed=1), found)


def test_the_second_stage_rebuilds_what_the_first_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the perturbations of the first stage, the second sees and gives other images."""
    train = split()
    found, rebuilt = purified(train), d_vae.rebuilt

    def nothing_found(model: Autoencoder, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        images, perturbations = rebuilt(model, x, y)
        return images, torch.zeros_like(perturbations)

    monkeypatch.setattr(d_vae, "rebuilt", nothing_found)
    assert not np.array_equal(purified(train), found)


def test_every_image_is_told_its_class_by_its_content() -> None:
    train = split(rows=7)
    twice = Split(np.concatenate([train.images[:]] * 2), np.concatenate([train.labels] * 2), train.classes)
    found = d_vae.labels_by_content(twice)
    assert len(found) == 7
    assert [found[d_vae._digest(image)] for image in train.images[:]] == train.labels.tolist()


def test_the_pattern_of_a_class_is_taken_off() -> None:
    """Soft images of no class with a fine pattern for each class: it is weaker in the purified ones."""
    draws, rows, size = np.random.default_rng(0), 240, 16
    waves = np.sin(np.arange(size) * math.pi / 8 + draws.uniform(0, 6, (rows, 1)))
    images = 128 + 60 * waves[:, :, None, None] * np.ones((1, 1, size, 1))
    labels = np.arange(rows) % CLASSES
    patterns = 16 * draws.choice([-1.0, 1.0], (CLASSES, size, size, 1))
    published = np.clip(np.rint(images + patterns[labels]), 0, 255).astype(np.uint8)
    settings = DVae(kind="d-vae", steps=150, batch_size=32, lr=0.005)
    found = purified(Split(published, labels, ["a", "b", "c"]), settings)

    def strength(of: Array) -> float:
        """Of the patterns in the images, as a share of what was added."""
        return float(np.mean((of - images) * patterns[labels]) / np.mean(patterns**2))

    assert strength(published) == pytest.approx(1, abs=0.05)
    assert strength(found) < 0.5
    assert np.abs(found - images).mean() < 2 * 16
