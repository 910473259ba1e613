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
    """The generators of consecutive blocks of images, and where in the first of them a batch starts.

    Every block of ``BLOCK`` images has draws of its own, so an image's draws do not depend on the batch it is in.
    """

    generators: list[torch.Generator]
    offset: int

    @property
    def device(self) -> torch.device:
        """Where the draws are made."""
        return self.generators[0].device


@dataclass(frozen=True)
class Part:
    """A generator that draws for a whole batch, of whose rows only some are wanted.

    So several processes that share a batch draw for their images what one process would.

    Attributes:
        generator: in the same state in every process.
        start, stop: the wanted rows of the batch.
        batch: how many rows it has.
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
        rows: how many.
        source: one generator, those of the blocks that the rows belong to, or that of a larger batch.
        draw: draws a tensor of so many rows.

    Raises:
        ValueError: not as many rows as the part of a batch has.
    """
    if isinstance(source, torch.Generator):
        return draw(rows, source)
    if isinstance(source, Part):
        if rows != source.stop - source.start:
            raise ValueError(f"a draw of {rows} rows for rows {source.start} to {source.stop} of a batch")
        return draw(source.batch, source.generator)[source.start : source.stop].clone()  # the rest need not be kept
    parts = [draw(BLOCK, g) for g in source.generators]
    return torch.cat(parts)[source.offset : source.offset + rows]
