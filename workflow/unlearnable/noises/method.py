"""The contract of a noise method: the problem it solves, and what its module holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from unlearnable import registry
from unlearnable.compute.augment import draw
from unlearnable.compute.draws import Draws
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.countermeasures.base import Objective, cross_entropy
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Array, Split
from unlearnable.noises.settings import MethodSettings

S_co = TypeVar("S_co", bound=MethodSettings, covariant=True)


@dataclass(frozen=True)
class Problem(Generic[S_co]):
    """One noise to compute.

    Attributes:
        settings: the method's own settings.
        rho_u: radius of the noise, in units of 1/255.
        rho_a: radius of the source model's adversary, in units of 1/255.
        augmentation: the victim's transform T.
        classes: number of classes.
    """

    settings: S_co
    rho_u: int
    rho_a: int
    augmentation: Augmentation
    classes: int


@dataclass(frozen=True)
class Batch(Generic[S_co]):
    """Images whose noise is to be computed.

    Attributes:
        images: ``(B, C, H, W)``, float, whole numbers in [0, 255].
        labels: ``(B,)`` int64.
        problem: the noise to compute.
        draws: source of all random draws.
        start: initial noise, of the shape of ``images`` and within ``rho_u``; None for a uniform draw. Of a noise made
            of another method's, or started from one: that noise, in its own order.
    """

    images: Tensor
    labels: Tensor
    problem: Problem[S_co]
    draws: Draws
    start: Tensor | None = None


@dataclass(frozen=True)
class Descent:
    """The start of a batch's noise, and what the source model sees of a noise under one draw.

    The source model's loss on it, averaged over all images, must be lower with the noise than with the start; otherwise
    the noise does no more than its start. If that is another method's noise, the other noise alone would do as much.

    Attributes:
        start: the start, ``(B, C, H, W)``: random, or another method's noise.
        seen: maps a noise to the pixels that the source model sees, always under the same draw and without an attack.
        targets: of the loss, ``(B,)`` int64.
    """

    start: Tensor
    seen: Callable[[Tensor], Tensor]
    targets: Tensor

    def losses(self, network: FrozenNetwork, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The losses of every other image with the start, in whole grey levels as every noise, and with the noise.

        That is half of the images for each, so one forward pass of the batch in all.

        Returns:
            ``(n,)`` float32 each.
        """
        start, end = (network.losses(self.seen(d)[::2], self.targets[::2]) for d in (self.start.round(), noise))
        return start, end


@dataclass
class LossChange:
    """How far noise lowers the losses of many images.

    Attributes:
        images: number of images.
        start: sum of their losses with the start.
        noise: sum of their losses with the noise.
    """

    images: int = 0
    start: float = 0.0
    noise: float = 0.0

    def add(self, start: Tensor, noise: Tensor) -> None:
        """Add the losses of some images, ``(n,)`` each."""
        self.images += len(start)
        self.start += float(start.double().sum())
        self.noise += float(noise.double().sum())

    def means(self) -> dict[str, float]:
        """The number of images and their mean losses, for JSON."""
        return {
            "images": self.images,
            "loss_at_start": self.start / self.images,
            "loss": self.noise / self.images,
        }


class NoiseMethod(Protocol):
    """A noise method.

    A method's module defines functions with these names. ``noise`` is required; the others, apart from ``descent``,
    have the defaults described here.
    """

    def noise(self, basis: Any, batch: Batch[Any]) -> Tensor:
        """The noise of a batch.

        Args:
            basis: from ``basis``.
            batch: the images, without a start unless the noise is made of another method's or starts from it.

        Returns:
            ``(B, C, H, W)``, whole numbers within the bound of the method's settings.

        Raises:
            UserError: the method does not fit the images.
        """
        ...

    def basis(
        self, network: FrozenNetwork | None, train: Split, problem: Problem[Any], seed: int, device: torch.device
    ) -> Any:
        """The basis from which every image's noise is computed; by default the source model.

        Args:
            network: the source model; None for a method without one.
            train: all clean training images.
            problem: the noise to compute.
            seed: of all random draws.
            device: where to compute.

        Raises:
            UserError: the method does not fit the images.
        """
        ...

    def noise_passes(self, problem: Problem[Any]) -> int:
        """Forward+backward passes over a batch to compute its noise; none by default.

        Passes for the basis count as shared equally among all batches of the training set, rounded up.
        """
        ...

    @property
    def descends(self) -> bool:
        """Whether ``noise`` descends on the source model's loss from a start: the module defines ``descent``."""
        ...

    def descent(self, batch: Batch[Any], seed: int) -> Descent:
        """Where the noise of a batch starts, and the loss on which it descends; for methods that descend.

        Args:
            batch: as for ``noise``, with its draws from their beginning.
            seed: as for ``basis``.
        """
        ...

    def order(self, labels: Array, problem: Problem[Any], seed: int) -> Array:
        """Whose noise of another method each image carries, or starts from, ``(N,)`` row numbers; its own by default.

        Args:
            labels: of all training images, ``(N,)``.
            problem: the noise to compute.
            seed: as for ``basis``.

        Raises:
            UserError: the method does not fit the labels.
        """
        ...

    def training_inputs(self, network: FrozenNetwork, batch: Batch[Any]) -> tuple[Tensor, Tensor]:
        """The source model's input at one step, and the noise in it; for methods with their own source model.

        By default protected images, augmented as by a victim, with noise computed from the unfinished model.

        Args:
            network: the source model, frozen.
            batch: the images of the step.

        Returns:
            Pixels in [0, 255], of the shape of augmented images; and the noise, of the shape of ``images``.
        """
        ...

    def training_clean(self, batch: Batch[Any], pixels: Tensor) -> Tensor:
        """The pixels beside its input that the source model's objective is given; by default the input itself.

        Args:
            batch: the images of the step; its draws are where ``training_inputs`` left them.
            pixels: the input, from ``training_inputs``.
        """
        ...

    def objective(self, problem: Problem[Any]) -> Objective:
        """What a source-training step minimises; by default the cross-entropy of the input."""
        ...

    def objective_passes(self, problem: Problem[Any]) -> int:
        """How many times the objective passes a batch through the network; once by default."""
        ...

    def training_passes(self, problem: Problem[Any]) -> int:
        """Forward+backward passes of a source-training step before its update; by default those of the noise."""
        ...


@dataclass(frozen=True)
class _WithDefaults:
    """A method's module, completed by the defaults."""

    module: ModuleType

    def noise(self, basis: Any, batch: Batch[Any]) -> Tensor:
        d: Tensor = self.module.noise(basis, batch)
        return d

    def basis(
        self, network: FrozenNetwork | None, train: Split, problem: Problem[Any], seed: int, device: torch.device
    ) -> Any:
        own = getattr(self.module, "basis", None)
        return network if own is None else own(network, train, problem, seed, device)

    def noise_passes(self, problem: Problem[Any]) -> int:
        own = getattr(self.module, "noise_passes", None)
        return 0 if own is None else int(own(problem))

    @property
    def descends(self) -> bool:
        return hasattr(self.module, "descent")

    def descent(self, batch: Batch[Any], seed: int) -> Descent:
        found: Descent = self.module.descent(batch, seed)
        return found

    def order(self, labels: Array, problem: Problem[Any], seed: int) -> Array:
        own = getattr(self.module, "order", None)
        return np.arange(len(labels)) if own is None else own(labels, problem, seed)

    def training_inputs(self, network: FrozenNetwork, batch: Batch[Any]) -> tuple[Tensor, Tensor]:
        own = getattr(self.module, "training_inputs", None)
        if own is not None:
            pixels, d = own(network, batch)
            return pixels, d
        d = self.noise(network, batch)
        return augmented(batch, d), d

    def training_clean(self, batch: Batch[Any], pixels: Tensor) -> Tensor:
        own = getattr(self.module, "training_clean", None)
        return pixels if own is None else own(batch, pixels)

    def objective(self, problem: Problem[Any]) -> Objective:
        own = getattr(self.module, "objective", None)
        return cross_entropy if own is None else own(problem)

    def objective_passes(self, problem: Problem[Any]) -> int:
        own = getattr(self.module, "objective_passes", None)
        return 1 if own is None else int(own(problem))

    def training_passes(self, problem: Problem[Any]) -> int:
        own = getattr(self.module, "training_passes", None)
        return self.noise_passes(problem) if own is None else int(own(problem))


def augmented(batch: Batch[MethodSettings], d: Tensor) -> Tensor:
    """Protected images under a fresh draw of the victim's transform."""
    protected = (batch.images + d).clamp(0, 255)
    return draw(batch.problem.augmentation, batch.images, batch.draws)(protected)


def method_of(settings: MethodSettings) -> NoiseMethod:
    """The method that the settings belong to."""
    return _WithDefaults(registry.load_module("noises", settings.algorithm))


class ProblemSettings(Protocol):
    """The part of a stage's settings that defines its noise."""

    @property
    def method(self) -> MethodSettings:
        """The method's own settings."""
        ...

    @property
    def augmentation(self) -> Augmentation:
        """The victim's transform T."""
        ...

    @property
    def rho_u(self) -> int:
        """Radius of the noise, in units of 1/255."""
        ...

    @property
    def rho_a(self) -> int:
        """Radius of the source model's adversary, in units of 1/255."""
        ...


def problem_of(settings: ProblemSettings, classes: int) -> Problem[MethodSettings]:
    """The noise problem of a source-model or noise stage.

    Args:
        settings: the stage's settings.
        classes: number of classes.
    """
    return Problem(settings.method, settings.rho_u, settings.rho_a, settings.augmentation, classes)
