"""The contract of a noise method: what its module may leave out, and that every module fits it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from unlearnable import registry
from unlearnable.compute.augment import draw
from unlearnable.compute.frozen import FrozenNetwork, frozen
from unlearnable.countermeasures.base import cross_entropy
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.noises import cost
from unlearnable.noises.method import Batch, NoiseMethod, Problem, method_of
from unlearnable.noises.settings import MethodSettings
from unlearnable.training.work import Amount, Subject

CPU = torch.device("cpu")
METHODS = registry.available("noises")
FUNCTIONS = (
    *("basis", "noise", "noise_passes", "descent", "order"),
    *("training_inputs", "training_clean", "objective", "objective_passes", "training_passes"),
)
REQUIRED: dict[str, dict[str, Any]] = {  # keys without a default
    "shuffled": {"of": "em"},
    "given": {"path": "noise.npy", "content": "noise", "unit": "levels", "radius": 8},
}


class Least(MethodSettings):
    """The settings of a method whose module holds as little as it may."""

    algorithm: Literal["least"] = "least"


PROBLEM = Problem(Least(), rho_u=200, rho_a=0, augmentation=Augmentation(flip=True), classes=3)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that holds ``noise`` alone."""
    made = ModuleType("least")

    def noise(network: FrozenNetwork, batch: Batch[Least]) -> Tensor:
        return 100 * network.gradient(batch.images, batch.labels).sign()

    made.__dict__["noise"] = noise
    monkeypatch.setattr(registry, "load_module", lambda axis, name: {"noises": {"least": made}}[axis][name])
    monkeypatch.setattr(registry, "load_file", lambda axis, name, file: None)
    return made


@pytest.fixture
def network() -> Iterator[FrozenNetwork]:
    with frozen(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), torch.float32) as fixed:
        yield fixed


@pytest.mark.parametrize("method", METHODS)
def test_every_module_has_the_contracts_functions_with_as_many_arguments(method: str) -> None:
    module = registry.load_module("noises", method)
    assert callable(module.noise)
    for name in FUNCTIONS:
        if hasattr(module, name):
            wanted = inspect.signature(getattr(NoiseMethod, name)).parameters
            assert len(inspect.signature(getattr(module, name)).parameters) == len(wanted) - 1, name  # self


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_passes_where_it_has_a_source_model(method: str) -> None:
    settings: MethodSettings = registry.validated("noises", {"algorithm": method} | REQUIRED.get(method, {}))
    problem = Problem(settings, 8, 4, Augmentation(), 3)
    passes = method_of(settings).noise_passes(problem)
    assert (passes > 0) == (settings.source != "none" and method != "clean")


def test_a_method_descends_if_its_module_says_how_far(module: ModuleType) -> None:
    assert not method_of(Least()).descends
    module.__dict__["descent"] = lambda batch, seed: None
    assert method_of(Least()).descends


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_starts_at_random_and_descends_says_so(method: str) -> None:
    descending = {"clean-uniform", "em", "em-classwise", "rem", "sem", "tap"}
    assert method_of(registry.validated("noises", {"algorithm": method} | REQUIRED.get(method, {}))).descends == (
        method in descending
    )


def test_by_default_the_basis_is_the_source_model(module: ModuleType, network: FrozenNetwork) -> None:
    train: Any = None
    assert method_of(Least()).basis(network, train, PROBLEM, 0, CPU) is network


def test_by_default_the_source_model_learns_from_augmented_protected_images(
    module: ModuleType, network: FrozenNetwork
) -> None:
    images, labels = 255 * torch.rand(6, 1, 4, 4).round(), torch.arange(6) % 3
    batch = Batch(images, labels, PROBLEM, torch.Generator().manual_seed(2))
    pixels, d = method_of(Least()).training_inputs(network, batch)
    assert torch.equal(d, module.noise(network, batch))
    transform = draw(PROBLEM.augmentation, images, torch.Generator().manual_seed(2))
    assert torch.equal(pixels, transform((images + d).clamp(0, 255)))


def test_by_default_the_source_model_minimises_the_cross_entropy_of_its_input(module: ModuleType) -> None:
    method, pixels = method_of(Least()), torch.rand(2, 1, 4, 4)
    unused: Any = None
    assert method.training_clean(unused, pixels) is pixels
    assert method.objective(PROBLEM) is cross_entropy
    assert method.objective_passes(PROBLEM) == 1


def test_a_method_may_have_an_objective_of_its_own(module: ModuleType, network: FrozenNetwork) -> None:
    made: Any = object()
    module.__dict__["objective"] = lambda problem: made
    module.__dict__["objective_passes"] = lambda problem: 3
    module.__dict__["training_clean"] = lambda batch, pixels: pixels + 1
    method, unused = method_of(Least()), made
    assert method.objective(PROBLEM) is made
    assert torch.equal(method.training_clean(unused, torch.ones(2)), torch.full((2,), 2.0))
    subject = Subject("small-cnn", "cifar", (1, 8, 8), 3, PROBLEM.augmentation, "float32")
    assert cost.of_training(PROBLEM, subject, 4, 10)[1] == Amount(subject.work("step", 10), 3 * 40, 3 * 4)


def test_by_default_a_noise_takes_no_passes_and_a_step_of_training_those_of_the_noise(module: ModuleType) -> None:
    method = method_of(Least())
    assert (method.noise_passes(PROBLEM), method.training_passes(PROBLEM)) == (0, 0)
    module.__dict__["noise_passes"] = lambda problem: 7
    assert (method.noise_passes(PROBLEM), method.training_passes(PROBLEM)) == (7, 7)


def test_by_default_a_noise_costs_its_passes_over_every_batch(module: ModuleType) -> None:
    module.__dict__["noise_passes"] = lambda problem: 7
    subject = Subject("small-cnn", "cifar", (1, 8, 8), 3, PROBLEM.augmentation, "float32")
    work = subject.work("gradient", 10)
    assert cost.of_noise(cost.Shard(PROBLEM, subject, (1, 8, 8), 10, 25, 100)) == [Amount(work, 7 * 25, 7 * 3)]
    assert cost.of_noise(cost.Shard(PROBLEM, None, (1, 8, 8), 10, 25, 100)) == []
    step = Amount(subject.work("step", 10), 40, 4)
    assert cost.of_training(PROBLEM, subject, 4, 10) == [Amount(work, 280, 28), step]
