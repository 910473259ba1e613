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


Draws = torch.Generator | Blocks


def of_rows(start: int, stop: int, seed: int, stage: str, device: torch.device) -> Blocks:
    """The draws of the images ``start`` to ``stop`` in a stage."""
    blocks = range(start // BLOCK, (stop - 1) // BLOCK + 1)
    return Blocks([generator(seed, stage, block, device=device) for block in blocks], start % BLOCK)


def by_rows(rows: int, source: Draws, draw: Callable[[int, torch.Generator], Tensor]) -> Tensor:
    """A draw for each row of a batch.

    Args:
        rows: how many.
        source: one generator, or those of the blocks that the rows belong to.
        draw: draws a tensor of so many rows.
    """
    if isinstance(source, torch.Generator):
        return draw(rows, source)
    parts = [draw(BLOCK, g) for g in source.generators]
    return torch.cat(parts)[source.offset : source.offset + rows]
