"""What is finished of a study's rankings: accuracies, passes, and how close protected images are to their originals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from unlearnable import files
from unlearnable.datasets import shards
from unlearnable.datasets.protected import load_protected
from unlearnable.datasets.split import Array
from unlearnable.products.budget import about_budgets
from unlearnable.products.frames import labels
from unlearnable.products.product import NoiseCell, VictimCell, validate_given
from unlearnable.products.ranking import ranking
from unlearnable.study import products
from unlearnable.study.cells import DATASET, NOISE, PERTURBED, SOURCE, VICTIM, Noise, noise_of, path
from unlearnable.study.study import Study

RANKING = "ranking-table"
IMAGES = 500  # whose similarity is measured: the first ones
WINDOW, SIGMA = 11, 1.5  # pixels, of the local statistics of SSIM
STABILISERS = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of SSIM's two fractions

ByNoise = dict[tuple[str, str], float]  # by dataset and label of the noise


@dataclass(frozen=True)
class Measured:
    """One experiment.

    Attributes:
        name: of the experiment.
        table: one row per noise and way of training, as of ``products.ranking``.
        passes: of source model and noise together, mean over seeds.
        psnr: mean over images of their peak signal-to-noise ratio, in dB.
        ssim: mean over images of their structural similarity.
        budgets: of the victims, in words.
        classes: their number, by dataset.
        finished: number of victims that are finished.
        planned: number of victims of the experiment.
    """

    name: str
    table: pd.DataFrame
    passes: ByNoise
    psnr: ByNoise
    ssim: ByNoise
    budgets: list[str]
    classes: dict[str, int]
    finished: int
    planned: int


def measured(study: Study, experiment: str, directory: Path) -> Measured | None:
    """What is finished of an experiment with a ranking; None if no victim is.

    Args:
        study: with the experiment.
        experiment: its name.
        directory: the working directory.

    Raises:
        UserError: a result is damaged.
    """
    every = study.victims(experiment)
    metrics = {cell: directory / path(VICTIM, cell) / "metrics.json" for cell in every}
    done = [cell for cell in every if metrics[cell].is_file()]
    if not done:
        return None
    given = validate_given(products.config(study, experiment, RANKING))
    psnr, ssim = _similarities(study, experiment, directory)
    return Measured(
        name=experiment,
        table=ranking([VictimCell(**vars(cell)) for cell in done], [metrics[cell] for cell in done]),
        passes=_passes(study, experiment, directory),
        psnr=psnr,
        ssim=ssim,
        budgets=about_budgets(given),
        classes=given.classes,
        finished=len(done),
        planned=len(every),
    )


def _labelled(study: Study, experiment: str) -> Iterator[tuple[Noise, tuple[str, str]]]:
    """The noises of an experiment, each with its dataset and label."""
    cells = study.noises(experiment)
    names = labels([NoiseCell(**vars(cell)) for cell in cells])
    return ((cell, (cell.dataset, name)) for cell, name in zip(cells, names, strict=True))


def _passes(study: Study, experiment: str, directory: Path) -> ByNoise:
    found: dict[tuple[str, str], list[float]] = {}
    for cell, key in _labelled(study, experiment):
        source = study.source_of(cell)
        parts = [directory / path(NOISE, cell) / "metrics.json"]
        parts += [] if source is None else [directory / path(SOURCE, source) / "metrics.json"]
        if all(part.is_file() for part in parts):
            found.setdefault(key, []).append(sum(files.read_json(part)["passes"] for part in parts))
    return {key: sum(passes) / len(passes) for key, passes in found.items()}


def _similarities(study: Study, experiment: str, directory: Path) -> tuple[ByNoise, ByNoise]:
    """PSNR and SSIM of the first seed of every noise, where all images are protected."""
    psnr: ByNoise = {}
    ssim: ByNoise = {}
    published = {noise_of(cell): cell for cell in study.perturbed(experiment)}
    for cell, key in _labelled(study, experiment):
        protected = published.get(cell)
        if key in psnr or protected is None or not (directory / path(PERTURBED, protected) / "manifest.json").is_file():
            continue
        clean = shards.load(directory / DATASET.format(dataset=cell.dataset), "train").images[:IMAGES]
        changed = load_protected(directory / path(PERTURBED, protected)).images[:IMAGES]
        squares = np.square(changed.astype(float) - clean).mean(axis=(1, 2, 3)).clip(1e-9)
        psnr[key] = float(np.mean(10 * np.log10(255**2 / squares)))
        ssim[key] = float(np.mean([structural_similarity(*pair) for pair in zip(clean, changed, strict=True)]))
    return psnr, ssim


def structural_similarity(one: Array, other: Array) -> float:
    """The mean structural similarity index of two images (Wang et al. 2004), by Gaussian windows of 11x11 pixels.

    Args:
        one: ``(H, W, C)`` uint8.
        other: likewise.
    """

    def local(values: Array) -> Array:
        return cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT)

    x, y = one.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    of_means, of_spread = STABILISERS
    index = (2 * mean_x * mean_y + of_means) * (2 * covariance + of_spread)
    return float(np.mean(index / ((mean_x**2 + mean_y**2 + of_means) * (var_x + var_y + of_spread))))
