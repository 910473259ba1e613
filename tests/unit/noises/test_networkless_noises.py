"""What LSP, OPS, AR and CUDA have in common: noise by formula, without a network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearnable import registry
from unlearnable.compute import draws
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Array, Split
from unlearnable.noises.method import Batch, Problem, method_of
from unlearnable.noises.settings import MethodSettings as Method

METHODS: dict[str, dict[str, Any]] = {
    "lsp": {"radius": 6.0, "patch": 4},
    "ops": {},
    "ar": {"radius": 1.5},
    "cuda": {},
}
DRAWING = ("lsp", "ar")  # each image its own draw
CPU = torch.device("cpu")


def split(rows: int, shape: tuple[int, int, int], classes: int) -> Split:
    """Random images that do not reach black and white, so that no change is lost to the pixels' range."""
    images = np.random.default_rng(len(shape)).integers(90, 166, (rows, *shape), np.uint8)
    return Split(images, np.arange(rows) % classes, [f"class {label}" for label in range(classes)])


def settings(method: str) -> Method:
    made: Method = registry.validated("noises", {"algorithm": method} | METHODS[method])
    return made


def task(method: str, classes: int) -> Problem[Method]:
    return Problem(settings(method), rho_u=0, rho_a=0, augmentation=Augmentation(), classes=classes)


def tensors(train: Split, start: int, stop: int) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(np.ascontiguousarray(train.images[start:stop])).permute(0, 3, 1, 2).float()
    return images, torch.from_numpy(train.labels[start:stop])


def noise(method: str, train: Split, seed: int = 0, batch: int | None = None) -> Array:
    """The noise of all images, ``(N, H, W, C)``, in batches of ``batch``."""
    problem, rows = task(method, len(train.classes)), len(train.labels)
    module = method_of(problem.settings)
    basis = module.basis(None, train, problem, seed, CPU)
    parts = []
    for start in range(0, rows, batch or rows):
        stop = min(start + (batch or rows), rows)
        images, labels = tensors(train, start, stop)
        before = images.clone(), labels.clone()
        d = module.noise(basis, Batch(images, labels, problem, draws.of_rows(start, stop, seed, "noise", CPU)))
        assert torch.equal(images, before[0])
        assert torch.equal(labels, before[1])
        assert d.dtype == images.dtype
        assert d.shape == images.shape
        parts.append(d.permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts)


@pytest.mark.parametrize("method", METHODS)
@given(
    height=st.integers(8, 20),
    width=st.integers(8, 20),
    channels=st.sampled_from([1, 3]),
    classes=st.integers(2, 12),
    seed=st.integers(0, 2**31 - 1),
)
def test_noise_is_whole_grey_levels_within_its_bound_at_every_size(
    method: str, height: int, width: int, channels: int, classes: int, seed: int
) -> None:
    train = split(24, (height, width, channels), classes)
    d = noise(method, train, seed)
    assert np.isfinite(d).all()
    assert np.array_equal(d, d.round())
    assert d.any(axis=(1, 2, 3)).all()
    published = np.clip(train.images + d, 0, 255)
    bound = settings(method).bound(0, (height, width, channels))
    assert bound.exceeded_by((published - train.images).astype(np.int64)) is None


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_noise_and_others_another(method: str) -> None:
    train = split(30, (8, 8, 3), 3)
    if method == "ops":  # which draws only between pixels that are equally good
        train.images[:] = 128  # type: ignore[index]
    torch.manual_seed(0)
    first = noise(method, train, 0)
    torch.manual_seed(1)  # the global stream has no part in it
    assert np.array_equal(first, noise(method, train, 0))
    assert not np.array_equal(first, noise(method, train, 1))


@pytest.mark.parametrize("method", METHODS)
def test_an_images_noise_does_not_depend_on_its_batch(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "BLOCK", 5)
    train = split(23, (12, 9, 3), 4)
    whole = noise(method, train)
    for batch in (1, 2, 5, 7, 11):
        assert np.array_equal(noise(method, train, batch=batch), whole)


@pytest.mark.parametrize("method", METHODS)
def test_noise_depends_on_the_label(method: str) -> None:
    train = split(12, (8, 8, 1), 12)
    problem = task(method, 12)
    module = method_of(problem.settings)
    basis = module.basis(None, train, problem, 0, CPU)
    images, labels = tensors(train, 0, 12)

    def of(labels: Tensor) -> Tensor:
        return module.noise(basis, Batch(images, labels, problem, draws.of_rows(0, 12, 0, "noise", CPU)))

    every = [of(torch.full_like(labels, label))[0] for label in range(12)]
    assert all(not torch.equal(a, b) for n, a in enumerate(every) for b in every[:n])
    assert all(torch.equal(of(labels)[label], of(torch.full_like(labels, label))[label]) for label in range(12))


@pytest.mark.parametrize("method", DRAWING)
def test_images_of_one_class_get_noise_of_their_own(method: str) -> None:
    train = split(6, (16, 16, 3), 1)
    d = noise(method, train)
    assert all(not np.array_equal(a, b) for n, a in enumerate(d) for b in d[:n])


@pytest.mark.parametrize("method", METHODS)
def test_hundreds_of_classes_are_told_apart(method: str) -> None:
    train = split(400, (16, 16, 1), 200)
    d = noise(method, train)
    assert np.isfinite(d).all()
    changed = train.images + d
    assert len({image.tobytes() for image in changed[:200]}) == 200


@pytest.mark.parametrize("method", METHODS)
def test_no_network_takes_part(method: str) -> None:
    problem = task(method, 3)
    assert method_of(problem.settings).noise_passes(problem) == 0
    assert problem.settings.source == "none"
    assert problem.settings.radii == ()


def test_the_radii_of_the_papers_are_the_defaults() -> None:
    shape = (32, 32, 3)
    bounds = {method: registry.settings("noises", method)(algorithm=method).bound(0, shape) for method in METHODS}
    assert bounds["lsp"].norm == bounds["ar"].norm == "l2"
    assert bounds["lsp"].radius == pytest.approx(6 / 255 * math.sqrt(3072))
    assert bounds["lsp"].radius == pytest.approx(1.304, abs=5e-4)
    assert bounds["ar"].radius == 1
    assert (bounds["ops"].norm, bounds["ops"].radius) == ("l0", 1)
    assert bounds["cuda"].norm == "none"
