"""Batches of a split on the computing device, whether or not the split fits into its memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from unlearnable.compute import memory
from unlearnable.datasets.split import Array, Split
from unlearnable.datasets.stream import chunk_rows

AHEAD = 2  # batches loaded while another is used
RESIDENT = 0.5  # share of a GPU's free memory that images may use; the rest is for networks


class Feed:
    """The images of a split, batch by batch, on ``device``.

    On a GPU the whole split stays in its memory if it fits. If it does not, or if it exceeds the memory of a machine
    without a GPU, a thread reads ahead. On a CPU a split that fits into memory is read batch by batch.

    Attributes:
        shape: of one image, ``(C, H, W)``.
        labels: ``(N,)`` int64, on ``device``.
    """

    def __init__(self, split: Split, device: torch.device) -> None:
        self.device = device
        self.labels = torch.from_numpy(split.labels).to(device)
        height, width, channels = split.images.shape[1:]
        self.shape = (channels, height, width)
        self._images = split.images
        size = math.prod(split.images.shape)
        on_gpu = device.type == "cuda"
        fits = size <= (RESIDENT if on_gpu else memory.USABLE) * memory.free_bytes(device)
        self._resident = self._upload() if on_gpu and fits else None
        self._reads_ahead = not fits

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def batches(self, rows: Iterable[Array]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """For every array of row numbers: the images, their labels and the row numbers.

        Leaving early, also by an exception, ends the thread that reads ahead.

        Args:
            rows: ``(B,)`` int64 each; taken from the iterable in the caller's thread.

        Yields:
            Images ``(B, C, H, W)`` uint8, channels last in memory; labels ``(B,)`` int64; rows ``(B,)`` int64.
        """
        if self._reads_ahead:
            yield from self._ahead(rows)
            return
        for chosen in rows:
            places = torch.from_numpy(chosen).to(self.device)
            images = torch.from_numpy(self._images[chosen]) if self._resident is None else self._resident[places]
            yield images.permute(0, 3, 1, 2), self.labels[places], places

    def _ahead(self, rows: Iterable[Array]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        loading: deque[Future[tuple[Tensor, Tensor]]] = deque()
        with ThreadPoolExecutor(1, "feed") as thread:  # leaving waits for the batch being read
            for chosen in rows:
                loading.append(thread.submit(self._load, chosen))
                if len(loading) > AHEAD:
                    yield self._place(*loading.popleft().result())
            while loading:
                yield self._place(*loading.popleft().result())

    def _load(self, rows: Array) -> tuple[Tensor, Tensor]:
        """Images ``(B, H, W, C)`` and row numbers in the machine's memory, pinned if the device is a GPU."""
        images, places = torch.from_numpy(self._images[rows]), torch.from_numpy(rows)
        return (images.pin_memory(), places.pin_memory()) if self.device.type == "cuda" else (images, places)

    def _place(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        places = rows.to(self.device, non_blocking=True)
        return images.to(self.device, non_blocking=True).permute(0, 3, 1, 2), self.labels[places], places

    def _upload(self) -> Tensor:
        """All images on the device, ``(N, H, W, C)``, copied piece by piece."""
        whole = torch.empty(self._images.shape, dtype=torch.uint8, device=self.device)
        step = chunk_rows(self._images.shape[1:])
        for start in range(0, len(whole), step):
            whole[start : start + step] = torch.from_numpy(self._images[start : start + step])
        return whole
