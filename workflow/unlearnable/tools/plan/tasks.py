"""The jobs of a study that compute or write much, each with its cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from unlearnable.datasets.size import Size
from unlearnable.datasets.split import shard_rows
from unlearnable.networks.facts import weight_bytes
from unlearnable.study.cells import (
    DATASET,
    NOISE,
    PERTURBED,
    SOURCE,
    VICTIM,
    Noise,
    Perturbed,
    Victim,
    path,
    perturbed_of,
    unique,
)
from unlearnable.study.study import Study
from unlearnable.tools.plan import passes, space
from unlearnable.tools.plan.jobs import PlannedJob
from unlearnable.tools.plan.publishing import PublishingWork
from unlearnable.training.work import Amount


@dataclass(frozen=True)
class Task:
    """One job.

    Attributes:
        stage: its stage.
        done: whether its results exist and are up to date.
        bytes: number of bytes it writes.
        metrics: the file that records its time, relative to the working directory.
        amounts: its work.
        like: the kind of jobs, by noise and dataset, whose seconds per row give its time if it has no ``amounts``.
        rows: number of its images.
        besides: further work whose time cannot be estimated; None if there is none.
    """

    stage: str
    done: bool
    bytes: int
    metrics: str = ""
    amounts: list[Amount] = field(default_factory=list)
    like: tuple[str, str] | None = None
    rows: int = 0
    besides: str | None = None

    @property
    def passes(self) -> int:
        """Forward and backward passes over a batch."""
        return sum(amount.passes for amount in self.amounts)


@dataclass(frozen=True)
class Planner:
    """Finds the jobs of a study.

    Attributes:
        study: the study.
        jobs: all jobs of the run, and whether they are done.
        sizes: of the datasets; jobs that depend on an unknown size are left out.
        png: size of the Parquet files as a share of that of the pixels, by dataset.
    """

    study: Study
    jobs: dict[PlannedJob, bool]
    sizes: dict[str, Size]
    png: dict[str, float]

    def tasks(self) -> list[Task]:
        """All jobs but those of tables and figures."""
        run, of_releases = self.study.settings.run, self.study.release_noises()
        sources, victims = [self.study.source_of(cell) for cell in of_releases], self.study.trained(*run)
        return [
            *(task for name in self.sizes for task in self._dataset(name)),
            *(
                task
                for cell in unique([*self.study.sources(*run), *filter(None, sources)])
                for task in self._source_model(cell)
            ),
            *(task for cell in unique([*self.study.noises(*run), *of_releases]) for task in self._noise(cell)),
            *(task for cell in unique(map(perturbed_of, victims)) for task in self._perturbed(cell)),
            *(task for cell in victims for task in self._victim(cell)),
        ]

    def _shape(self, dataset: str) -> tuple[int, ...]:
        described = self.study.layers.dataset(dataset)
        return described.channels, described.image_size, described.image_size

    def _classes(self, dataset: str) -> int:
        return len(self.study.layers.dataset(dataset).classes)

    def _dataset(self, name: str) -> Iterator[Task]:
        job, size = PlannedJob("dataset", DATASET.format(dataset=name)), self.sizes[name]
        if job in self.jobs:
            yield Task(
                "dataset", self.jobs[job], space.of_images((size.train or 0) + (size.test or 0), self._shape(name))
            )

    def _source_model(self, cell: Noise) -> Iterator[Task]:
        job = PlannedJob("source_model", path(SOURCE, cell))
        if job in self.jobs:
            settings = self.study.source_settings(cell)
            training = settings.training
            shape, classes = self._shape(cell.dataset), self._classes(cell.dataset)
            weights = weight_bytes(training.network, shape[0], classes, training.stem)
            amounts = passes.of_source_model(settings, shape, classes)
            yield Task("source model", self.jobs[job], weights, f"{job.place}/metrics.json", amounts)

    def _noise(self, cell: Noise) -> Iterator[Task]:
        every, shape = self.sizes[cell.dataset].train or 0, self._shape(cell.dataset)
        settings = self.study.noise_settings(cell)
        shards = self.study.shards(cell.dataset, cell.method)
        for shard in range(shards):
            job = PlannedJob("noise", f"{path(NOISE, cell)}/shards/{shard}-of-{shards}")
            if job in self.jobs:
                rows = len(shard_rows(every, settings.noise_pass.batch_size, shard, shards))
                amounts = passes.of_noise(settings, shape, self._classes(cell.dataset), rows, every) if every else []
                size = space.of_noise(rows, shape, settings.bound)
                like = (f"{cell.method} noise", cell.dataset)
                yield Task("noise", self.jobs[job], size, f"{job.place}.json", amounts, like, rows)
        merge = PlannedJob("merge_noise", path(NOISE, cell))
        if merge in self.jobs:
            yield Task("noise", self.jobs[merge], space.of_noise(every, shape, settings.bound))

    def _perturbed(self, cell: Perturbed) -> Iterator[Task]:
        job = PlannedJob("perturbed_dataset", path(PERTURBED, cell))
        if job in self.jobs:
            rows = published_rows(cell, self.sizes[cell.dataset].train or 0)
            size = space.of_published(rows, self._shape(cell.dataset), self.png[cell.dataset])
            amounts = [Amount(PublishingWork(self._shape(cell.dataset)), rows)]
            yield Task("perturbed dataset", self.jobs[job], size, f"{job.place}/metrics.json", amounts)

    def _victim(self, cell: Victim) -> Iterator[Task]:
        job = PlannedJob("victim", path(VICTIM, cell))
        if job in self.jobs:
            settings, size = self.study.victim_settings(cell), self.sizes[cell.dataset]
            shape, classes = self._shape(cell.dataset), self._classes(cell.dataset)
            weights = weight_bytes(cell.network, shape[0], classes, settings.training.stem)
            train = published_rows(perturbed_of(cell), size.train or 0)
            amounts = passes.of_victim(settings, shape, classes, train, size.test or 0)
            besides = "AutoAttack on victims" if settings.training.auto_attack else None
            metrics = f"{job.place}/metrics.json"
            yield Task("victim", self.jobs[job], weights, metrics, amounts, besides=besides)


def published_rows(cell: Perturbed, rows: int) -> int:
    """How many of ``rows`` training images a protected dataset has; the clean rest lacks the protected ones."""
    return rows - round(rows * cell.protected / 100) if cell.method == "clean" else rows
