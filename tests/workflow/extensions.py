"""One entry of every axis that a study varies, as a user would add them: files beside the library's own, and YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FILES = {
    # A noise with settings, whose source model learns as it does by default.
    "noises/signs/__init__.py": "",
    "noises/signs/settings.py": '''
"""Settings of the noise of signs."""

from typing import Literal

from pydantic import Field

from unlearnable.noises.settings import MethodSettings


class Signs(MethodSettings):
    """Steps of one grey level down the loss."""

    algorithm: Literal["signs"]
    steps: int = Field(3, ge=1, description="descent steps")
''',
    "noises/signs/noise.py": '''
"""Noise of signs."""

import torch
from torch import Tensor

from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.noises.method import Batch, Problem
from unlearnable.noises.signs.settings import Signs


def noise_passes(problem: Problem[Signs]) -> int:
    """Forward+backward passes over a batch to compute its noise."""
    return problem.settings.steps


def noise(network: FrozenNetwork, batch: Batch[Signs]) -> Tensor:
    """Steps of one grey level."""
    d, rho_u = torch.zeros_like(batch.images), batch.problem.rho_u
    for _ in range(batch.problem.settings.steps):
        g = network.gradient((batch.images + d).clamp(0, 255), batch.labels)
        d = (d - g.sign()).clamp(-rho_u, rho_u)
    return d
''',
    # A reader.
    "datasets/readers/ramps/__init__.py": "",
    "datasets/readers/ramps/settings.py": '''
"""How a dataset of ramps is described."""

from typing import Literal

from pydantic import Field

from unlearnable.datasets.settings import Dataset


class RampsDataset(Dataset):
    """Images that brighten along a direction of their class."""

    kind: Literal["ramps"]
    rows: int = Field(ge=2, description="training images; half as many test images")
''',
    "datasets/readers/ramps/reader.py": '''
"""Ramps."""

from pathlib import Path
from typing import Any

import numpy as np

from unlearnable.datasets.readers.ramps.settings import RampsDataset
from unlearnable.datasets.size import Size
from unlearnable.datasets.split import Split
from unlearnable.datasets.stream import Stream, of_split


def read(dataset: RampsDataset, root: Path, downloads: Path) -> tuple[Stream, Stream, dict[str, Any]]:
    """Draw the images."""
    train, test = (_ramps(dataset, rows) for rows in (dataset.rows, dataset.rows // 2))
    return of_split(train, "ramps, train split"), of_split(test, "ramps, test split"), {"kind": "ramps"}


def size_hint(dataset: RampsDataset, root: Path) -> Size:
    """As described."""
    return Size(dataset.rows, dataset.rows // 2, "as described")


def _ramps(dataset: RampsDataset, rows: int) -> Split:
    labels = np.arange(rows) % len(dataset.classes)
    down, across = np.indices((dataset.image_size, dataset.image_size))
    angles = labels[:, None, None] + np.arange(rows)[:, None, None] / rows
    levels = 128 + 8 * (np.cos(angles) * down + np.sin(angles) * across)
    images = np.repeat(levels.clip(0, 255).astype(np.uint8)[..., None], dataset.channels, axis=3)
    return Split(images, labels, dataset.classes)
''',
    # A counter-measure with settings, whose objective passes each batch three times.
    "countermeasures/thrice/__init__.py": "",
    "countermeasures/thrice/settings.py": '''
"""Settings of the counter-measure thrice."""

from typing import ClassVar, Literal

from pydantic import Field

from unlearnable.countermeasures.settings import CountermeasureSettings


class Thrice(CountermeasureSettings):
    """The loss at three levels of brightness."""

    passes: ClassVar[int] = 3
    kind: Literal["thrice"]
    step: float = Field(0.1, gt=0, lt=1, description="between the levels, as a share of the brightness")
''',
    "countermeasures/thrice/countermeasure.py": '''
"""The loss at three levels of brightness."""

from dataclasses import replace

from torch import Tensor, nn

from unlearnable.countermeasures.base import Countermeasure, Lesson, cross_entropy
from unlearnable.countermeasures.thrice.settings import Thrice
from unlearnable.datasets.split import Split


def build(settings: Thrice, train: Split, classes: int, seed: int) -> Countermeasure:
    """The mean of three losses."""

    def objective(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
        loss, logits = cross_entropy(network, lesson)
        for level in (1, 2):
            loss = loss + cross_entropy(network, replace(lesson, pixels=lesson.pixels * (1 - level * settings.step)))[0]
        return loss / 3, logits

    return Countermeasure(objective=objective)
''',
    # One without settings.
    "countermeasures/mirror.py": '''
"""Mirrored training images."""

from unlearnable.countermeasures.base import Countermeasure
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.split import Split


def build(settings: CountermeasureSettings, train: Split, classes: int, seed: int) -> Countermeasure:
    """Each image left to right."""
    return Countermeasure(images=lambda images: images[:, :, ::-1].copy())
''',
    # A network.
    "networks/architectures/one_layer.py": '''
"""One convolution."""

from torch import nn


def build(channels: int, classes: int, stem: str) -> nn.Module:
    """A convolution and a readout."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes)
    )
''',
}

STUDY: dict[str, Any] = {
    "run": ["extended"],
    "datasets": {"ramps": {"kind": "ramps", "rows": 24, "image_size": 8, "channels": 1, "classes": ["a", "b", "c"]}},
    "methods": {"signs": {"algorithm": "signs", "steps": 2}},
    "countermeasures": {"thrice": {"kind": "thrice", "step": 0.2}, "mirror": {"kind": "mirror"}},
    "source_model": {"by_dataset": {"ramps": {"network": "one-layer", "steps": 5, "batch_size": 8}}},
    "noise": {"by_dataset": {"ramps": {"batch_size": 10}}},
    "victim": {"by_dataset": {"ramps": {"steps": 7, "batch_size": 8, "robust_images": 10, "evaluate_every": 7}}},
    "experiments": {
        "extended": {
            "datasets": ["ramps"],
            "noises": [{"method": "signs", "rho_u": [8]}],
            "victims": [{"networks": ["one-layer"], "radii": [0], "countermeasures": ["none", "thrice", "mirror"]}],
            "products": ["accuracy-table"],
        }
    },
}

SOURCE_PASSES = 5 * (2 + 1)  # in every step those of the noise, and its own
NOISE_PASSES = 3 * 2  # three batches
VICTIM_PASSES = {"none": 7, "thrice": 7 * 3, "mirror": 7}


def add(package: Path) -> None:
    """Add the entries to a copy of the library, beside its own and without any other edit."""
    for name, content in FILES.items():
        path = package / name
        assert not path.exists()
        path.parent.mkdir(exist_ok=True)
        path.write_text(content.lstrip(), encoding="utf-8")
