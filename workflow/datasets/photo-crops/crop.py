"""Make photo-crops from ten photographs that scikit-image, scikit-learn and Matplotlib install with themselves:

    python workflow/datasets/photo-crops/crop.py

The environment needs these three packages; they are not imported. Each photograph is divided into cells of about 100
pixels. Every fourth cell is for testing, and a crop lies within one cell, so training and test images share no pixel.
"""

import importlib.util
import io
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unlearnable import files

PHOTOGRAPHS = {  # the classes, with package and file
    "astronaut": ("skimage", "data/astronaut.png"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "galaxies": ("skimage", "data/hubble_deep_field.jpg"),
    "tissue": ("skimage", "data/ihc.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "temple": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "admiral": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
PER_CLASS = {"train": 450, "test": 150}
CELL = 100  # pixels, about
SIDES = (24, 64)  # of a crop, in pixels
SIDE = 32  # of an image
MEAN, DEVIATION = 128, 48  # of each channel of an image, in grey levels, before values are clipped
LEAST = 6  # grey levels by which a crop must deviate in at least one channel: no plain sky, no black border


def main(target: Path) -> None:
    """Write ``train.parquet`` and ``test.parquet`` into ``target``."""
    draws = np.random.default_rng(2022)
    images: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for package, name in PHOTOGRAPHS.values():
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            sys.exit(f"{package} is not installed")
        photograph = Image.open(Path(spec.origin).parent / name).convert("RGB")
        of_split = cells(*photograph.size, draws)
        for split, number in PER_CLASS.items():
            images[split] += [crop(photograph, of_split[split], draws) for _ in range(number)]
    for split, number in PER_CLASS.items():
        labels = np.repeat(np.arange(len(PHOTOGRAPHS)), number)
        rows = draws.permutation(len(labels))
        encoded = []
        for row in rows:
            buffer = io.BytesIO()
            Image.fromarray(images[split][row]).save(buffer, "webp", lossless=True, quality=75, method=4)
            encoded.append({"bytes": buffer.getvalue(), "path": None})
        image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(encoded, image_type), "label": pa.array(labels[rows], pa.int64())})
        with files.atomic(target / f"{split}.parquet") as file:
            pq.write_table(table, file, compression="zstd")
        print(files.sha256(target / f"{split}.parquet"), f"{split}.parquet")


def cells(width: int, height: int, draws: np.random.Generator) -> dict[str, list[tuple[int, int, int, int]]]:
    """The cells of a photograph, as left, upper, right and lower edge, divided at random into train and test."""
    xs, ys = (np.linspace(0, side, max(1, round(side / CELL)) + 1).astype(int) for side in (width, height))
    found = [
        (int(left), int(upper), int(right), int(lower)) for upper, lower in pairwise(ys) for left, right in pairwise(xs)
    ]
    order = draws.permutation(len(found))
    test = len(found) // 4
    return {"test": [found[i] for i in order[:test]], "train": [found[i] for i in order[test:]]}


def crop(photograph: Image.Image, of: list[tuple[int, int, int, int]], draws: np.random.Generator) -> np.ndarray:
    """A square crop within one of the cells, scaled to 32x32, each channel with the same mean and deviation."""
    while True:
        left, upper, right, lower = of[draws.integers(len(of))]
        side = int(draws.integers(SIDES[0], min(SIDES[1], right - left, lower - upper) + 1))
        x, y = int(draws.integers(left, right - side + 1)), int(draws.integers(upper, lower - side + 1))
        scaled = photograph.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (x, y, x + side, y + side))
        values = np.asarray(scaled, np.float64)
        deviation = values.std((0, 1))
        if deviation.max() >= LEAST:
            normal = (values - values.mean((0, 1))) / np.maximum(deviation, 1)
            image: np.ndarray = np.clip(np.rint(MEAN + DEVIATION * normal), 0, 255).astype(np.uint8)
            return image


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
