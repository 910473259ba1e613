"""What is finished of a study's rankings: accuracies, passes, and how close protected images are to their originals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from unlearnable import files
from unlearnable.datasets import shards
from unlearnable.datasets.protected import load_protected
from unlearnable.datasets.similarity import structural_similarity
from unlearnable.products.budget import about_budgets
from unlearnable.products.frames import labels
from unlearnable.products.product import NoiseCell, VictimCell, validate_given
from unlearnable.products.ranking import ranking
from unlearnable.study import products
from unlearnable.study.cells import DATASET, NOISE, PERTURBED, SOURCE, VICTIM, Noise, noise_of, path
from unlearnable.study.finished import Finished
from unlearnable.study.recipes import Planned, Recipes
from unlearnable.study.study import Study

RANKING = "ranking-table"
IMAGES = 500  # whose similarity is measured: the first ones

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
    """What is finished, as the study asks for it, of an experiment with a ranking; None if no victim is.

    Args:
        study: with the experiment.
        experiment: its name.
        directory: the working directory.

    Raises:
        UserError: a result is damaged.
    """
    results = _Results(study, directory)
    every = study.victims(experiment)
    done = [cell for cell in every if results.fits(results.recipes.victim(cell))]
    if not done:
        return None
    given = validate_given(products.config(study, experiment, RANKING))
    metrics = [directory / path(VICTIM, cell) / "metrics.json" for cell in done]
    psnr, ssim = results.similarities(experiment)
    return Measured(
        name=experiment,
        table=ranking([VictimCell(**vars(cell)) for cell in done], metrics),
        passes=results.passes(experiment),
        psnr=psnr,
        ssim=ssim,
        budgets=about_budgets(given),
        classes=given.classes,
        finished=len(done),
        planned=len(every),
    )


class _Results:
    """The finished results of a study, of which only those count that are made as it asks."""

    def __init__(self, study: Study, directory: Path) -> None:
        self.study = study
        self.directory = directory
        self.recipes = Recipes(study)
        self._finished = Finished(directory)

    def fits(self, planned: Planned) -> bool:
        """Whether a result is there, and the one asked for."""
        return (self.directory / planned.file).is_file() and self._finished.fault(planned) is None

    def passes(self, experiment: str) -> ByNoise:
        """Those of source model and noise."""
        found: dict[tuple[str, str], list[float]] = {}
        for cell, key in self._labelled(experiment):
            source = self.study.source_of(cell)
            parts = [] if source is None else [self.recipes.source_model(source)]
            parts.append(self.recipes.merge_noise(cell))
            if all(map(self.fits, parts)):
                folders = [path(NOISE, cell), *([] if source is None else [path(SOURCE, source)])]
                every = [files.read_json(self.directory / folder / "metrics.json")["passes"] for folder in folders]
                found.setdefault(key, []).append(sum(every))
        return {key: sum(passes) / len(passes) for key, passes in found.items()}

    def similarities(self, experiment: str) -> tuple[ByNoise, ByNoise]:
        """PSNR and SSIM of one seed of every noise."""
        psnr: ByNoise = {}
        ssim: ByNoise = {}
        published = {noise_of(cell): cell for cell in self.study.perturbed(experiment)}
        for cell, key in self._labelled(experiment):
            protected = published.get(cell)
            if key in psnr or protected is None or not self.fits(self.recipes.perturbed_dataset(protected)):
                continue
            folder = self.directory / path(PERTURBED, protected)
            clean = shards.load(self.directory / DATASET.format(dataset=cell.dataset), "train").images[:IMAGES]
            changed = load_protected(folder).images[:IMAGES]
            squares = np.square(changed.astype(float) - clean).mean(axis=(1, 2, 3)).clip(1e-9)
            psnr[key] = float(np.mean(10 * np.log10(255**2 / squares)))
            ssim[key] = float(np.mean([structural_similarity(*pair) for pair in zip(clean, changed, strict=True)]))
        return psnr, ssim

    def _labelled(self, experiment: str) -> Iterator[tuple[Noise, tuple[str, str]]]:
        """The noises of an experiment, each with its dataset and label."""
        cells = self.study.noises(experiment)
        names = labels([NoiseCell(**vars(cell)) for cell in cells])
        return ((cell, (cell.dataset, name)) for cell, name in zip(cells, names, strict=True))
