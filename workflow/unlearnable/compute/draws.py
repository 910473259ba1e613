"""Random draws for the images of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unlearnable.randomness import generator

BLOCK = 128


@dataclass(frozen=True)
class Blocks:
    """The generators of consecutive blocks of images, and where in the first block a batch starts.

    Every block of ``BLOCK`` images has its own draws, so an image's draws do not depend on its batch.
    """

    generators: list[torch.Generator]
    offset: int

    @property
    def device(self) -> torch.device:
        """Where the draws are made."""
        return self.generators[0].device


@dataclass(frozen=True)
class Part:
    """A generator that draws for a whole batch when only some of its rows are needed.

    Several processes that share a batch thereby draw the same values as one process would.

    Attributes:
        generator: in the same state in every process.
        start, stop: the rows needed.
        batch: number of rows in the batch.
    """

    generator: torch.Generator
    start: int
    stop: int
    batch: int

    @property
    def device(self) -> torch.device:
        """Where the draws are made."""
        return self.generator.device


Draws = torch.Generator | Blocks | Part


def of_rows(start: int, stop: int, seed: int, stage: str, device: torch.device) -> Blocks:
    """The draws of the images ``start`` to ``stop`` in a stage."""
    blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
    return Blocks([generator(seed, stage, block, device=device) for block in blocks], start % BLOCK)


def by_rows(rows: int, source: Draws, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
    """A draw for each row of a batch.

    Args:
        rows: number of rows.
        source: one generator, the generators of the rows' blocks, or that of a larger batch.
        draw: draws a tensor with the given number of rows.

    Raises:
        ValueError: the part of a batch has another number of rows.
    """
    if isinstance(source, torch.Generator):
        return draw(rows, source)
    if isinstance(source, Part):
        if rows != source.stop - source.start:
            raise ValueError(f"a draw of {rows} rows for rows {source.start} to {source.stop} of a batch")
        return draw(source.batch, source.generator)[source.start : source.stop].clone()  # the rest need not be kept
    parts = [draw(BLOCK, g) for g in source.generators]
    return torch.cat(parts)[source.offset : source.offset + rows]
