"""The files that a job and its ranks exchange: the task, a request to stop, and why they ended early.

A rank that raises writes the error file of torch elastic; torchrun combines these into one ``Outcome``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

STOP = "stop"  # a file of this name asks the ranks to save their state and stop


@dataclass(frozen=True)
class TrainingTask:
    """The training to do, in plain values.

    Attributes:
        config: settings of the source model, as plain values.
        dataset: the folder of the dataset.
        base: the folder of the merged noise that its noise starts from; None if there is none.
        model, history, metrics: the files to write.
        made: what the source model is made with.
        checkpoint, fingerprint, every, deadline: of the loop, as in ``Loop``.
        device: the kind of device, ``cpu`` or ``cuda``.
        ranks: number of ranks.
        threads: of each rank.
        job: process id of the job.
    """

    config: dict[str, Any]
    dataset: str
    base: str | None
    model: str
    history: str
    metrics: str
    made: dict[str, Any]
    checkpoint: str | None
    fingerprint: str
    every: float
    deadline: float | None
    device: str
    ranks: int
    threads: int
    job: int

    def write(self, folder: Path) -> None:
        """Put the task into a folder, before the ranks start."""
        (folder / "task.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> TrainingTask:
        """The task of a folder."""
        return cls(**json.loads((folder / "task.json").read_bytes()))


@dataclass(frozen=True)
class Outcome:
    """Why the ranks ended before the training was done.

    Attributes:
        kind: they were asked to stop, the task or the machine was at fault, or a rank failed.
        message: for the user; of a failure, with the traceback.
    """

    kind: Literal["Stopped", "UserError", "RuntimeError"]
    message: str

    def write(self, folder: Path) -> None:
        """Put the outcome into a folder, when all ranks have ended."""
        (folder / "outcome.json").write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Outcome | None:
        """The outcome in a folder; None if there is none."""
        path = folder / "outcome.json"
        return cls(**json.loads(path.read_bytes())) if path.exists() else None
