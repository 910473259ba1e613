"""Long loops that report progress, save checkpoints, stop in time and resume where they stopped."""

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


UNREADABLE = (  # raised by zipfile and torch.load for a damaged file
    *(OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError),
    *(UnpicklingError, zipfile.BadZipFile, zlib.error),
)


def _always_wanted() -> None:
    return None


@dataclass
class Loop:
    """The progress, checkpoints and limits of one long loop.

    Attributes:
        checkpoint: side file with the loop's state; None for no checkpoints.
        fingerprint: of everything that the state depends on; a checkpoint with another one is ignored.
        every: seconds between two checkpoints.
        deadline: ``time.monotonic()`` at which to save and stop, or None.
        stop_requested: whether to save and stop after the current step.
        unwanted: returns why the result is no longer needed, or None; called after every step, so it should be fast.
        images: average number of images in a step, for the reports.
        device: the device that computes the steps, for the reports.
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
        """The state saved by an earlier run of this loop; None if there is none."""
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
        """Seconds spent in the loop, including earlier runs."""
        return self._before + time.monotonic() - self._started

    def after(self, step: int, steps: int, state: Callable[[], State], report: Callable[[], str]) -> None:
        """Call this after each of ``steps`` steps: it reports, saves a checkpoint or stops when due.

        Args:
            step: number of finished steps.
            steps: total number of steps.
            state: returns the state to continue from after this step; called only to save it.
            report: returns text for the progress line; called only if one is due.

        Raises:
            Stopped: the state is saved and the loop must be left; the same command resumes from here.
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
            raise Stopped(f"{why}: state saved after step {step} of {steps}; the same command continues from there")

    def _why_stop(self) -> str | None:
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "the job's time is up"
        if self.stop_requested:
            return "asked to stop"
        return self.unwanted()

    def _save(self, state: State) -> None:
        if self.checkpoint is not None:
            content = io.BytesIO()  # torch.save to the file itself would hide why a write failed
            torch.save({"fingerprint": self.fingerprint, "seconds": self.seconds, "state": state}, content)
            with files.atomic(self.checkpoint) as file:
                file.write(content.getbuffer())
        self._saved = time.monotonic()

    def require_wanted(self) -> None:
        """Make sure that the result is still needed: without the job's Snakemake, the next one makes it again.

        Raises:
            Stopped: it is not.
        """
        if (why := self.unwanted()) is not None:
            raise Stopped(f"{why}; the same command continues from the checkpoint")

    def done(self) -> None:
        """Remove the checkpoint: the result is in place.

        Raises:
            Stopped: the result is no longer needed; the checkpoint is kept.
        """
        self.require_wanted()
        if self.checkpoint is not None:
            self.checkpoint.unlink(missing_ok=True)
            files.remove_leftovers(self.checkpoint)  # of a run killed while writing one
