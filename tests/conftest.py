"""Shared by all tests: one thread, no network, reproducible examples, small data."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

from unlearnable.datasets.split import Array, Split
from unlearnable.registry import validated
from unlearnable.stages.dataset import prepare

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports datasets
torch.set_num_threads(1)
# A run in the background, or under nohup, ignores these two, and all that it starts would, too.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
settings.register_profile(
    "tests",
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tests")

SIZE = 8
CLASSES = ["cat", "dog", "owl"]


def png(image: Array) -> bytes:
    """One image ``(H, W, C)`` uint8 as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "png")
    return buffer.getvalue()


def random_split(rows: int, channels: int = 1, seed: int = 0) -> Split:
    """Random images of ``SIZE`` pixels, their labels in turn 0, 1, 2."""
    draws = np.random.default_rng(seed)
    images = draws.integers(0, 256, (rows, SIZE, SIZE, channels), np.uint8)
    return Split(images, np.arange(rows, dtype=np.int64) % len(CLASSES), CLASSES)


def write_images(
    path: Path, images: list[bytes], labels: list[int], names: tuple[str, str] = ("image", "label")
) -> None:
    """A Parquet file of encoded images, as dataset hubs store them."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    encoded = pa.array([{"bytes": data, "path": None} for data in images], kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({names[0]: encoded, names[1]: pa.array(labels, pa.int64())}), path)


@pytest.fixture
def make_split() -> Callable[..., Split]:
    """``make_split(rows, channels=1, seed=0)``: random images of three classes."""
    return random_split


@pytest.fixture
def encode_png() -> Callable[[Array], bytes]:
    """``encode_png(image)``: the PNG of one image."""
    return png


@pytest.fixture
def write_parquet_images() -> Callable[..., None]:
    """``write_parquet_images(path, images, labels, names)``: a Parquet file of encoded images."""
    return write_images


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Path]:
    """``store(split, name="dataset", test=split, **changes)``: the dataset stage on two splits; gives its folder."""

    def stored(train: Split, name: str = "dataset", test: Split | None = None, **changes: Any) -> Path:
        raw, folder = tmp_path / f"{name}-raw", tmp_path / name
        for file, split in (("train", train), ("test", test or train)):
            write_images(raw / f"{file}.parquet", [png(image) for image in split.images[:]], split.labels.tolist())
        config = {"kind": "parquet", "root": raw.name, "image_size": SIZE, "channels": train.images.shape[3]}
        prepare(
            validated("readers", config | {"classes": CLASSES, "rows_per_shard": 10} | changes),
            tmp_path,
            folder / "train",
            folder / "test",
            folder / "manifest.json",
            tmp_path / "downloads",
        )
        return folder

    return stored
