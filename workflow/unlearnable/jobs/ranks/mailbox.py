"""The folder through which a job, torchrun and the ranks between them tell one another what matters."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from unlearnable import files


@dataclass(frozen=True)
class Task:
    """What the ranks train, all of it plain values.

    Attributes:
        config: of the source model, as ``Study.source_config`` gives it.
        dataset: the folder of the dataset.
        model, history, metrics: the files to write.
        checkpoint, fingerprint, every, deadline: of the loop, as in ``Loop``.
        device: the kind of device, ``cpu`` or ``cuda``.
        ranks: how many.
        threads: of each rank.
        job: the number of the process that wants the result.
    """

    config: dict[str, Any]
    dataset: str
    model: str
    history: str
    metrics: str
    checkpoint: str | None
    fingerprint: str
    every: float
    deadline: float | None
    device: str
    ranks: int
    threads: int
    job: int


@dataclass(frozen=True)
class Outcome:
    """Why a rank left before its training was done.

    Attributes:
        kind: asked to stop, refused for bad input, or failed.
        message: what to tell; of a failure, the traceback.
        time: ``time.monotonic()`` of it.
    """

    kind: Literal["stopped", "refused", "failed"]
    message: str
    time: float


class Meeting:
    """The folder through which job, torchrun and ranks tell one another what matters.

    Args:
        folder: an empty one that exists.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._stop = self.folder / "stop"
        self._killed = self.folder / "killed.json"

    @property
    def task(self) -> Task:
        """What to train."""
        return Task(**self._read(self.folder / "task.json"))

    def set_task(self, task: Task) -> None:
        """Say what to train; before the ranks start."""
        self._write(self.folder / "task.json", asdict(task))

    @property
    def stop_requested(self) -> bool:
        """Whether the job wants the ranks to save and stop."""
        return self._stop.exists()

    def request_stop(self) -> None:
        """Ask the ranks to save and stop."""
        self._stop.touch()

    def arrive(self, rank: int) -> None:
        """Say which process a rank is."""
        self._write(self.folder / f"process-{rank}.json", os.getpid())

    def process(self, rank: int) -> int | None:
        """The number of the process that a rank is; None before it has arrived."""
        path = self.folder / f"process-{rank}.json"
        return int(self._read(path)) if path.exists() else None

    def leave(self, rank: int, kind: Literal["stopped", "refused", "failed"], message: str) -> None:
        """Say why a rank leaves."""
        self._write(self.folder / f"rank-{rank}.json", asdict(Outcome(kind, message, time.monotonic())))

    def outcomes(self) -> dict[int, Outcome]:
        """Why ranks left, of those that said so."""
        found = self.folder.glob("rank-*.json")
        return {int(path.stem.removeprefix("rank-")): Outcome(**self._read(path)) for path in found}

    def report_killed(self, rank: int, number: int) -> None:
        """Say that a rank was killed by a signal."""
        self._write(self._killed, [rank, number])

    @property
    def killed(self) -> tuple[int, int] | None:
        """The rank that was killed, and the signal that did it."""
        if not self._killed.exists():
            return None
        rank, number = self._read(self._killed)
        return rank, number

    def _write(self, path: Path, content: Any) -> None:
        with files.atomic(path) as file:
            file.write(json.dumps(content).encode())

    def _read(self, path: Path) -> Any:
        return json.loads(path.read_bytes())
