"""Long loops that report progress, save checkpoints, stop in time, and continue where they stopped."""

from __future__ import annotations

import io
import logging
import time
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from unlearnable import files
from unlearnable.errors import Stopped
from unlearnable.progress import Meter

log = logging.getLogger(__name__)
State = dict[str, Any]


UNREADABLE = (  # what zipfile and torch.load raise for a damaged file
    *(OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError),
    *(UnpicklingError, zipfile.BadZipFile, zlib.error),
)


def _always_wanted() -> None:
    return None


@dataclass
class Loop:
    """The outside of one long loop.

    Attributes:
        checkpoint: the side file that holds the loop's state; None for no checkpoints.
        fingerprint: of everything the state depends on; another loop's checkpoint is ignored.
        every: seconds between two checkpoints.
        deadline: ``time.monotonic()`` at which to save and leave, or None.
        stop_requested: whether to save and leave after the current step.
        unwanted: why nobody waits for the result any more, or None; asked after every step, so it should be quick.
        images: how many images a step sees, on average; for the reports.
        device: what computes the steps; for the reports.
    """

    checkpoint: Path | None = None
    fingerprint: str = ""
    every: float = 60.0
    deadline: float | None = None
    stop_requested: bool = False
    unwanted: Callable[[], str | None] = _always_wanted
    images: float = 0.0
    device: str = ""
    _saved: float = field(default_factory=time.monotonic)
    _started: float = field(default_factory=time.monotonic)
    _before: float = 0.0
    _meter: Meter | None = None

    def restore(self) -> State | None:
        """The state that an earlier run of this very loop saved, if any."""
        if self.checkpoint is None or not self.checkpoint.is_file():
            return None
        try:
            with zipfile.ZipFile(self.checkpoint) as archive:
                damaged = archive.testzip()  # torch.load does not compare the checksums
            if damaged is not None:
                raise zipfile.BadZipFile(f"checksum mismatch in {damaged}")
            content = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            mine = content["fingerprint"] == self.fingerprint
        except UNREADABLE as error:
            log.warning("%s: unreadable checkpoint (%s); starting from the beginning", self.checkpoint, error)
            return None
        if not mine:
            log.warning("%s: checkpoint of other settings, code or inputs; ignored", self.checkpoint)
            return None
        self._before = content["seconds"]
        log.info("resuming from %s", self.checkpoint)
        state: State = content["state"]
        return state

    @property
    def seconds(self) -> float:
        """Time spent in the loop, earlier runs of it included."""
        return self._before + time.monotonic() - self._started

    def after(self, step: int, steps: int, state: Callable[[], State], report: Callable[[], str]) -> None:
        """To be called after each of ``steps`` steps: report, checkpoint or stop when it is time to.

        Args:
            step: how many steps are done.
            steps: how many there are.
            state: returns what is needed to go on after this step; called only to save it.
            report: returns what to say of the progress; called only to say it.

        Raises:
            Stopped: the state is saved and the loop must be left; the same command goes on from here.
        """
        if self._meter is None:
            self._meter = Meter("step", steps, self.images, self.device)
        self._meter.at(step, report)
        if step == steps:
            return
        why = self._why_stop()
        if why is not None or time.monotonic() - self._saved >= self.every:
            self._save(state())
        if why is not None:
            raise Stopped(f"{why}: state saved after step {step} of {steps}; the same command goes on from there")

    def _why_stop(self) -> str | None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "the job's time is up"
        if self.stop_requested:
            return "asked to stop"
        return self.unwanted()

    def _save(self, state: State) -> None:
        if self.checkpoint is not None:
            content = io.BytesIO()  # torch.save straight to the file would hide why a write failed
            torch.save({"fingerprint": self.fingerprint, "seconds": self.seconds, "state": state}, content)
            with files.atomic(self.checkpoint) as file:
                file.write(content.getbuffer())
        self._saved = time.monotonic()

    def require_wanted(self) -> None:
        """Make sure that somebody waits for the result: without its Snakemake, the next one makes it again.

        Raises:
            Stopped: nobody does.
        """
        if (why := self.unwanted()) is not None:
            raise Stopped(f"{why}; the same command continues from the checkpoint")

    def done(self) -> None:
        """Remove the checkpoint: the result is in place.

        Raises:
            Stopped: nobody waits for it any more; the checkpoint is kept.
        """
        self.require_wanted()
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
            files.remove_leftovers(self.checkpoint)  # of a run that was killed while it wrote one
