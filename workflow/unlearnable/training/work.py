"""What a job computes, in terms that can be counted from its settings and timed by themselves."""

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

Once = Callable[[int], object]  # does a kind of work once, for a number of images
Pass = Literal["gradient", "step", "forward"]


class Kind(ABC):
    """A kind of work that can be timed; a frozen dataclass, so that equal ones are timed once.

    Attributes:
        batch: how many images a job does it for at once.
    """

    batch: int

    @property
    def fewest(self) -> int:
        """How many images to time at first; more follow where the time allows."""
        return 2  # batch norm learns from no fewer

    @property
    def scale(self) -> float:
        """How many times as long it takes as what ``prepared`` gives."""
        return 1.0

    @abstractmethod
    def prepared(self, device: torch.device) -> AbstractContextManager[Once]:
        """All that the work needs, and what does it once.

        Raises:
            UserError: jobs with this work will be refused.
        """


@dataclass(frozen=True)
class Amount:
    """An amount of one kind of work.

    Attributes:
        kind: of work.
        images: how many images take part, each as often as it does.
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
        network: its name.
        stem: how it begins.
        shape: of one image, ``(C, H, W)``.
        classes: how many there are.
        precision: as in the settings, ``auto`` included.
        batch: how many images a job passes through it at once.
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
        """The network and a batch. Nothing is compiled."""
        precision = choose_precision(self.precision, device)
        channels, size, _ = self.shape
        on_gpu = device.type == "cuda"
        network = create(self.network, channels, self.classes, size, 0, device, self.stem)
        pixels = (255 * torch.rand(self.batch, *self.shape, device=device)).to(memory_format=torch.channels_last)
        labels = torch.zeros(self.batch, dtype=torch.int64, device=device)
        if self.work == "step":
            if on_gpu:  # on a CPU it would take long to find out
                require_step(network, self.shape, precision, device, self.batch, self.network)
            network.train()
            optimizer = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9, weight_decay=5e-4)

            def step(images: int) -> None:
                with autocast(device, precision):
                    logits = network(pixels[:images])
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(logits.float(), labels[:images]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()

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
    """A network and the images that it sees.

    Attributes:
        network: its name.
        stem: how it begins.
        shape: of an image as stored, ``(C, H, W)``.
        classes: how many there are.
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
        """A kind of work on transformed images, or on those as they are stored."""
        shape = self.shape if raw else transformed(self.augmentation, self.shape)
        return NetworkWork(work, self.network, self.stem, shape, self.classes, self.precision, batch)
