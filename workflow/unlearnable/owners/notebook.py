"""For programs and notebooks: arrays of images with noise in them, and a release as a dataset of PyTorch.

The stages are those of the pipeline, so the same settings and seed give the same noise.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from unlearnable import arrays, files, registry
from unlearnable.compute.device import choose_device, set_up
from unlearnable.datasets import released
from unlearnable.datasets.encoded import opened
from unlearnable.datasets.protected import apply_noise
from unlearnable.datasets.split import Array, Split, check_labels
from unlearnable.datasets.stream import chunk_rows
from unlearnable.errors import UserError
from unlearnable.owners.project import SEM
from unlearnable.owners.verify import ABOUT_LIMIT, IMAGE_LIMIT
from unlearnable.settings import nearest
from unlearnable.stages.merge_noise import checked_pieces, lowered_loss
from unlearnable.stages.noise import make_shard
from unlearnable.stages.source_model import train_source_model
from unlearnable.study.cells import Noise
from unlearnable.study.study import Study
from unlearnable.tools.plan.reading import ROOT, default_config
from unlearnable.training.loop import Loop

NAME = "images"  # of the dataset and of the experiment in the study of a call
RADIUS = 8
TRAINING = {"network": "small-cnn", "steps": 300}
Keys = Mapping[str, Any]


def protect(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer[Any]],
    method: str = "sem",
    radius: int | None = None,
    *,
    seed: int,
    adversary: int | None = None,
    settings: Keys | None = None,
    source_model: Keys | None = None,
    noise: Keys | None = None,
    augmentation: Keys | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 1,
) -> NDArray[np.uint8]:
    """Add a noise to images that hides what tells their classes apart.

    Args:
        images: ``(N, H, W, C)`` uint8, square, grey (C 1) or RGB (C 3).
        labels: ``(N,)`` whole numbers from 0, each class with at least one image.
        method: name of a method in ``config/config.yaml``.
        radius: largest change of a value, in grey levels; None for 8. Methods with a bound of their own have none.
        seed: of all random draws; whoever knows it can make the noise again.
        adversary: radius of the source model's adversary, for REM and SEM, in grey levels; None for half of ``radius``.
        settings: keys of the method; for ``sem`` laid over those of ``unlearnable protect``.
        source_model: keys of the training of its source model; by default 300 steps of the small CNN.
        noise: keys of the noise pass.
        augmentation: the victim's transform; by default flips, and shifts by up to an eighth of the images' side.
        device: ``auto`` for a GPU if there is one. It is not leased, as jobs of the pipeline lease theirs.
        threads: of the CPU; jobs of the pipeline have one. Another number may round differently.

    Returns:
        The protected images, of the shape and in the order of ``images``.

    Raises:
        UserError: images, labels or settings cannot be used, or the noise would protect nothing.
    """
    train = _split(images, labels)
    config = default_config()
    radii = _radii(config, method)
    axis = {"rho_u": radius, "rho_a": adversary}
    if radius is None and "rho_u" in radii:
        axis["rho_u"] = RADIUS
    if adversary is None and "rho_a" in radii:
        axis["rho_a"] = (axis["rho_u"] or 0) // 2
    side, channels = train.images.shape[2:]
    study = Study(
        _laid_over(
            config,
            {
                "run": [NAME],
                "datasets": {
                    NAME: {
                        "kind": "parquet",  # never read
                        "root": NAME,
                        "image_size": side,
                        "channels": channels,
                        "classes": train.classes,
                        "train_images": len(train.labels),
                        "augmentation": {"flip": True, "crop_padding": side // 8, **(augmentation or {})},
                    }
                },
                "methods": {method: {"by_dataset": {NAME: {**(SEM if method == "sem" else {}), **(settings or {})}}}},
                "source_model": {
                    "by_dataset": {
                        NAME: {**TRAINING, "batch_size": min(128, len(train.labels)), **(source_model or {})}
                    }
                },
                "noise": {"by_dataset": {NAME: dict(noise or {})}},
                "experiments": {
                    NAME: {
                        "datasets": [NAME],
                        "noises": [
                            {"method": method, **{key: [value] for key, value in axis.items() if value is not None}}
                        ],
                        "seeds": [seed],
                        "products": ["noise-sheet"],
                    }
                },
            },
        ),
        root=ROOT,
    )
    cell = Noise(NAME, method, axis["rho_u"] or 0, axis["rho_a"] or 0, seed)
    with tempfile.TemporaryDirectory() as folder, _as_a_job(threads):
        levels = _made(study, cell, train, choose_device(device), Path(folder))
        protected = np.empty_like(images)
        step = chunk_rows(images.shape[1:])
        for start in range(0, len(images), step):
            rows = slice(start, start + step)
            protected[rows] = apply_noise(images[rows], levels[rows], np.ones(len(images[rows]), bool))
    return protected


def load_release(folder: str | Path, transform: Callable[[Image.Image], Any] | None = None) -> Release:
    """A release as a dataset of PyTorch, like torchvision's ``ImageFolder``.

    Args:
        folder: with ``images``, ``images.csv`` and ``release.json``.
        transform: of every image; None to get Pillow's image.

    Raises:
        UserError: it is no release, or damaged.
    """
    return Release(Path(folder), transform)


class Release(Dataset[tuple[Any, int]]):
    """The images of a release, in the order of ``images.csv``, and their labels.

    Attributes:
        classes: the class names, by label.
        files: of the images, below ``images``.
        targets: their labels.
    """

    def __init__(self, folder: Path, transform: Callable[[Image.Image], Any] | None) -> None:
        for name in (released.LIST, released.ABOUT):
            if not (folder / name).is_file():
                raise UserError(f"{folder / name}: no such file, so this is no complete release")
        listed = released.read_list(folder / released.LIST)
        about = json.loads(files.read_whole(folder / released.ABOUT, ABOUT_LIMIT))
        self._folder, self._transform = folder / released.IMAGES, transform
        self.classes: list[str] = list(about["classes"])
        self.files = [each.file for each in listed]
        known = {name: label for label, name in enumerate(self.classes)}
        unknown = [each.label for each in listed if each.label not in known]
        if unknown:
            raise UserError(f"{folder / released.LIST}: the class {unknown[0]!r} is not in {released.ABOUT}")
        self.targets = [known[each.label] for each in listed]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        """An image in RGB, transformed, and its label.

        Raises:
            UserError: its file is missing or damaged.
        """
        path = self._folder / self.files[row]
        try:
            data = files.read_whole(path, IMAGE_LIMIT)
        except OSError as error:
            raise UserError(f"{path}: not readable ({error.strerror or error})") from error
        with opened(data, str(path)) as image:
            plain = image.convert("RGB")
        return plain if self._transform is None else self._transform(plain), self.targets[row]


def _split(images: NDArray[np.uint8], labels: NDArray[np.integer[Any]]) -> Split:
    """Images and labels of a call, checked."""
    shape = np.shape(images)
    if getattr(images, "dtype", None) != np.uint8 or len(shape) != 4 or shape[1] != shape[2] or shape[3] not in (1, 3):
        kind = getattr(images, "dtype", type(images).__name__)
        raise UserError(f"images: {kind} of shape {shape}, but uint8 of shape (N, H, H, 1 or 3) is needed")
    found = np.asarray(labels)
    if found.shape != shape[:1] or found.dtype.kind not in "iu" or not len(found):
        raise UserError(f"labels: {found.dtype} of shape {found.shape}, but {shape[0]} whole numbers are needed")
    classes = [str(label) for label in range(int(found.max()) + 1)]
    check_labels(found.astype(np.int64), classes, "labels")
    return Split(images, found.astype(np.int64), classes)


def _radii(config: dict[str, Any], method: str) -> tuple[str, ...]:
    """The radii that a method needs: its own, or those of the method that it is made of."""
    known: dict[str, dict[str, Any]] = config["methods"]
    if method not in known:
        raise UserError(f"method: {method!r} is not defined in config/config.yaml; {nearest(method, list(known))}")
    origin = known.get(known[method].get("of", ""), known[method])
    radii: tuple[str, ...] = registry.settings("noises", origin["algorithm"]).radii
    return radii


def _laid_over(config: Any, change: Any) -> Any:
    """``change`` laid over ``config`` key by key, as one configuration file over another."""
    if not isinstance(config, dict) or not isinstance(change, dict):
        return change
    return config | {key: _laid_over(config.get(key), value) for key, value in change.items()}


@contextmanager
def _as_a_job(threads: int) -> Iterator[None]:
    """Torch as set up for a job of the pipeline; afterwards as it was."""
    deterministic: Any = torch.utils.deterministic
    mode, count = torch.get_deterministic_debug_mode(), torch.get_num_threads()
    tf32, filled = torch.backends.cudnn.allow_tf32, deterministic.fill_uninitialized_memory
    set_up(threads)
    try:
        yield
    finally:
        torch.set_num_threads(count)
        torch.set_deterministic_debug_mode(mode)
        torch.backends.cudnn.allow_tf32 = tf32
        deterministic.fill_uninitialized_memory = filled


def _made(study: Study, cell: Noise, train: Split, device: torch.device, folder: Path) -> Array:
    """The noise of all images in grey levels, ``(N, H, W, C)``, checked as by the merge_noise stage.

    Args:
        study: with the settings.
        cell: the noise.
        train: the clean images.
        device: where to compute.
        folder: for the files of the stages.
    """
    source, base, other, model = study.source_of(cell), study.base_of(cell), None, None
    if base is not None:
        (folder / "base").mkdir()
        other = _made(study, base, train, device, folder / "base")
    if source is not None:
        model = folder / "model.safetensors"
        about = folder / "history.parquet", folder / "metrics.json"
        start = None if study.start_of(cell) is None else other
        train_source_model(study.source_settings(source), train, Loop(), device, model, *about, base=start)
    settings = study.noise_settings(cell)
    path, metrics = folder / "noise.npy", folder / "noise.json"
    make_shard(settings, train, model, 0, 1, Loop(), device, path, metrics, base=other)
    measured = files.read_json(metrics)
    lowered_loss([measured["descent"]] if "descent" in measured else [], settings, cell.method)
    levels = arrays.map_array(path)
    size = settings.noise_pass.batch_size
    pieces = checked_pieces([levels], [cell.method], train.images.shape, size, settings.bound)
    return np.concatenate(list(pieces))
