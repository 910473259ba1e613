"""NTGA against a plain version that trains the wide network step by step, and what its noise and its basis promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from unlearnable import bounds
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.noises.method import Batch, Problem, method_of
from unlearnable.noises.ntga import noise as ntga
from unlearnable.noises.ntga.kernel import WideNetwork
from unlearnable.noises.ntga.settings import Ntga

CPU = torch.device("cpu")
NO_DRAWS = torch.Generator()


def problem(rho_u: int = 8, **changes: Any) -> Problem[Ntga]:
    return Problem(Ntga(algorithm="ntga", **changes), rho_u, 0, Augmentation(), classes=3)


@pytest.fixture
def train() -> Split:
    """40 images of three classes: noise, brighter in a part of the image that depends on the class."""
    images = np.random.default_rng(0).integers(0, 128, (40, 8, 8, 1), np.uint8)
    labels = np.arange(40) % 3
    for label in range(3):
        images[labels == label, 2 * label : 2 * label + 2] += 110
    return Split(images, labels, ["cat", "dog", "owl"])


def block(train: Split, rows: slice) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(train.images[rows]).permute(0, 3, 1, 2).float()
    return images, torch.from_numpy(train.labels[rows])


def loss(
    images: Tensor,
    labels: Tensor,
    held_out: ntga.HeldOut,
    activation: str = "relu",
    t: float = 64,
    readout: str = "linear",
) -> Tensor:
    """The held-out loss, by Runge-Kutta steps on the mean squared error of the network's outputs."""
    wide = WideNetwork(5, 1.76, 0.18, activation, readout)  # type: ignore[arg-type]
    x = images.double().flatten(1) / 255
    y = F.one_hot(labels, 3).double()
    inside, across = wide.kernels(x, x)[1], wide.kernels(held_out.pixels, x)[1]
    steps = 400

    def slope(f: Tensor) -> Tensor:
        return (y - f) / y.numel()  # minus the gradient of the mean of (f - y)^2 / 2 by f

    f, g = torch.zeros_like(y), torch.zeros(len(across), 3, dtype=torch.float64)
    h = t / steps
    for _ in range(steps):
        k1 = slope(f)
        k2 = slope(f + h / 2 * inside @ k1)
        k3 = slope(f + h / 2 * inside @ k2)
        k4 = slope(f + h * inside @ k3)
        mean = h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
        f, g = f + inside @ mean, g + across @ mean
    return F.cross_entropy(g, held_out.labels, reduction="sum")


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("readout", ["linear", "none"])
@pytest.mark.parametrize("t", [1, 64])
def test_the_gradient_is_that_of_training_step_by_step(train: Split, activation: str, readout: str, t: int) -> None:
    task = problem(activation=activation, readout=readout, t=t, held_out=20)
    held_out = ntga.basis(None, train, task, 0, CPU)
    images, labels = block(train, slice(9))
    x = images.double().requires_grad_()
    (expected,) = torch.autograd.grad(loss(x, labels, held_out, activation, t, readout), x)
    got = ntga.held_out_gradient(images.double(), labels, held_out, task)
    assert not x.grad
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_many_held_out_images_are_worked_through_piece_by_piece(train: Split) -> None:
    task = problem()
    few = ntga.basis(None, train, task, 0, CPU)
    copies = ntga.PIECE // len(few.labels) + 2
    many = ntga.HeldOut(few.pixels.repeat(copies, 1), few.labels.repeat(copies))
    images, labels = block(train, slice(5))
    once = ntga.held_out_gradient(images.double(), labels, few, task)
    assert len(many.labels) > ntga.PIECE
    torch.testing.assert_close(ntga.held_out_gradient(images.double(), labels, many, task), copies * once)


def test_the_noise_raises_the_held_out_loss_more_than_any_single_step(train: Split) -> None:
    held_out = ntga.basis(None, train, problem(), 0, CPU)
    images, labels = block(train, slice(20))
    losses = [
        float(loss(images + d, labels, held_out))
        for d in (
            torch.zeros_like(images),
            ntga.noise(held_out, Batch(images, labels, problem(steps=1, alpha=1), NO_DRAWS)),
            ntga.noise(held_out, Batch(images, labels, problem(), NO_DRAWS)),
        )
    ]
    assert losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize("rho_u", [1, 8, 200])
def test_noise_is_whole_grey_levels_within_the_radius_and_the_pixels_range(train: Split, rho_u: int) -> None:
    task = problem(rho_u)
    images, labels = block(train, slice(30, 40))
    images[0, 0, 0] = 0
    images[1, 0, 0] = 255
    d = ntga.noise(ntga.basis(None, train, task, 0, CPU), Batch(images, labels, task, NO_DRAWS))
    assert d.shape == images.shape
    assert d.dtype == images.dtype
    assert torch.equal(d, d.round())
    assert d.abs().max() == rho_u
    assert d.min() < 0
    assert (images + d).min() >= 0
    assert (images + d).max() <= 255


def test_one_step_goes_its_length_along_the_gradients_sign(train: Split) -> None:
    task = problem(steps=1, alpha=0.5)
    held_out = ntga.basis(None, train, task, 0, CPU)
    images, labels = block(train, slice(10))
    images = images.clamp(20, 235)  # away from the ends of the range
    d = ntga.noise(held_out, Batch(images, labels, task, NO_DRAWS))
    assert torch.equal(d, 4 * ntga.held_out_gradient(images, labels, held_out, task).sign())


def test_the_noise_draws_nothing_and_repeats(train: Split) -> None:
    task = problem()
    held_out = ntga.basis(None, train, task, 0, CPU)
    images, labels = block(train, slice(10))
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    first, second = (ntga.noise(held_out, Batch(images, labels, task, generator)) for generator in generators)
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    "rows",
    [slice(1), slice(0, 40, 3), slice(38, 40)],
    ids=["a single image", "a single class", "a small last block"],
)
def test_any_block_of_images_gets_noise(train: Split, rows: slice) -> None:
    task = problem()
    images, labels = block(train, rows)
    d = ntga.noise(ntga.basis(None, train, task, 0, CPU), Batch(images, labels, task, NO_DRAWS))
    assert d.isfinite().all()
    assert all(change.any() for change in d)


def test_equal_images_in_a_block_get_finite_noise_equal_where_their_labels_are(train: Split) -> None:
    task = problem()
    images, labels = block(train, slice(6))
    images[3] = images[0]  # labels 0 and 0
    images[1] = images[2] = 0  # labels 1 and 2, black
    d = ntga.noise(ntga.basis(None, train, task, 0, CPU), Batch(images, labels, task, NO_DRAWS))
    assert d.isfinite().all()
    assert torch.equal(d[0], d[3])
    assert not torch.equal(d[1], d[2])


# ---- what the noise starts from


def test_held_out_images_are_balanced_training_images_with_their_labels(train: Split) -> None:
    held_out = ntga.basis(None, train, problem(held_out=12), 0, CPU)
    assert held_out.pixels.dtype == torch.float64
    assert np.bincount(held_out.labels, minlength=3).tolist() == [4, 4, 4]
    whole = train.images[:].reshape(40, -1) / 255
    for pixels, label in zip(held_out.pixels.numpy(), held_out.labels, strict=True):
        (row,) = np.flatnonzero((np.abs(whole - pixels) < 1e-12).all(1))
        assert train.labels[row] == label


def test_held_out_images_depend_on_the_seed_alone(train: Split) -> None:
    task = problem(held_out=12)
    first, again, other = (ntga.basis(None, train, task, seed, CPU).pixels for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_small_training_set_is_held_out_whole(train: Split) -> None:
    assert len(ntga.basis(None, train, problem(held_out=512), 0, CPU).labels) == 40


def test_fewer_held_out_images_than_classes_are_refused(train: Split) -> None:
    with pytest.raises(UserError, match=r"ntga, key held_out: 2 image\(s\) .* 3 classes; give at least 3"):
        ntga.basis(None, train, problem(held_out=2), 0, CPU)


def test_its_settings_say_that_it_needs_no_source_model_and_keeps_to_its_radius() -> None:
    settings = Ntga(algorithm="ntga")
    assert (settings.source, settings.radii) == ("none", ("rho_u",))
    assert settings.bound(8, (8, 8, 1)) == bounds.linf(8)
    assert method_of(settings).noise_passes(problem()) == 0


def test_a_gradient_that_is_not_finite_is_refused(train: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out = ntga.basis(None, train, problem(), 0, CPU)
    images, labels = block(train, slice(5))
    monkeypatch.setattr(ntga, "held_out_gradient", lambda images, *rest: images / 0)
    with pytest.raises(UserError, match="method ntga: the gradient of the held-out loss is not finite"):
        ntga.noise(held_out, Batch(images, labels, problem(), NO_DRAWS))
