"""The work of a job, in kinds that can be counted from its settings and timed separately."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

from unlearnable.compute import memory
from unlearnable.compute.augment import transformed
from unlearnable.compute.device import autocast, choose_precision
from unlearnable.compute.frozen import frozen
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.networks.build import create
from unlearnable.training.memory import require_step
from unlearnable.training.settings import Precision
from unlearnable.training.sgd import Sgd

Once = Callable[[int], object]  # does a kind of work once, for a number of images
Pass = Literal["gradient", "step", "forward"]


class Kind(ABC):
    """A kind of work that can be timed; subclasses are frozen dataclasses, so that equal kinds are timed once.

    Attributes:
        batch: number of images that a job processes at once.
    """

    batch: int

    @property
    def fewest(self) -> int:
        """The number of images to time first; more follow if time allows."""
        return 2  # batch norm needs at least two

    @property
    def scale(self) -> float:
        """Ratio of the time of this work to that of the function from ``prepared``."""
        return 1.0

    @abstractmethod
    def prepared(self, device: torch.device) -> AbstractContextManager[Once]:
        """A context with everything the work needs; gives a function that does it once.

        Raises:
            UserError: jobs with this work will be refused.
        """


@dataclass(frozen=True)
class Amount:
    """An amount of one kind of work.

    Attributes:
        kind: of work.
        images: number of images processed, counting repetitions.
        passes: forward and backward passes over a batch, as ``metrics.json`` counts them.
    """

    kind: Kind
    images: int
    passes: int = 0


@dataclass(frozen=True)
class NetworkWork(Kind):
    """One kind of work of a network on one batch.

    Attributes:
        work: ``gradient``: the input gradient through the frozen network; ``step``: an SGD step; ``forward``: the
            logits alone, of the frozen network.
        network: name of the network.
        stem: its first layers.
        shape: of one image, ``(C, H, W)``.
        classes: number of classes.
        precision: as in the settings, ``auto`` included.
        batch: number of images that a job passes through it at once.
    """

    work: Pass
    network: str
    stem: str
    shape: tuple[int, ...]
    classes: int
    precision: Precision
    batch: int

    @contextmanager
    def prepared(self, device: torch.device) -> Iterator[Once]:
        """The network and a batch; nothing is compiled."""
        precision = choose_precision(self.precision, device)
        channels, size, _ = self.shape
        on_gpu = device.type == "cuda"
        network = create(self.network, channels, self.classes, size, 0, device, self.stem)
        pixels = (255 * torch.rand(self.batch, *self.shape, device=device)).to(memory_format=torch.channels_last)
        labels = torch.zeros(self.batch, dtype=torch.int64, device=device)
        if self.work == "step":
            if on_gpu:  # on a CPU this check would take long
                require_step(network, self.shape, precision, device, self.batch, self.network)
            network.train()
            optimizer = Sgd(network.parameters(), momentum=0.9, weight_decay=5e-4)

            def step(images: int) -> None:
                with autocast(device, precision):
                    logits = network(pixels[:images])
                optimizer.forget_gradients()
                F.cross_entropy(logits.float(), labels[:images]).backward()  # type: ignore[no-untyped-call]
                optimizer.step(lr=0.0)

            yield step
            return
        at_once = memory.micro_batch(network, self.shape, precision, device) if on_gpu else memory.CPU_MICRO_BATCH
        with frozen(network, precision, at_once) as fixed:
            if self.work == "gradient":
                yield lambda images: fixed.gradient(pixels[:images], labels[:images])
            else:
                yield lambda images: fixed.logits(pixels[:images])


@dataclass(frozen=True)
class Subject:
    """A network and its images.

    Attributes:
        network: name of the network.
        stem: its first layers.
        shape: ``(C, H, W)`` of a stored image.
        classes: number of classes.
        augmentation: the victim's transform.
        precision: as in the settings, ``auto`` included.
    """

    network: str
    stem: str
    shape: tuple[int, ...]
    classes: int
    augmentation: Augmentation
    precision: Precision

    def work(self, work: Pass, batch: int, raw: bool = False) -> NetworkWork:
        """A kind of work on transformed images or, if ``raw``, on stored images."""
        shape = self.shape if raw else transformed(self.augmentation, self.shape)
        return NetworkWork(work, self.network, self.stem, shape, self.classes, self.precision, batch)
