"""Make fashion-mini from the IDX files of Fashion-MNIST (Debian's package dataset-fashion-mnist).

The first 600 training and the first 400 test images of each class, in the order of the original files:

    python workflow/datasets/fashion-mini/make.py /usr/share/datasets/fashion-mnist
"""

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from unlearnable import files
from unlearnable.datasets.readers.mnist.reader import FILES, Idx

PER_CLASS = {"train": 600, "test": 400}


def main(source: Path, target: Path) -> None:
    """Write ``train.parquet`` and ``test.parquet`` into ``target``."""
    for split, names in FILES.items():
        images, labels = (Idx.of(source / name, n).array() for name, n in zip(names, (3, 1), strict=True))
        first = [np.flatnonzero(labels == label)[: PER_CLASS[split]] for label in range(10)]
        rows = np.sort(np.concatenate(first))
        encoded = []
        for image in images[rows]:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "png", optimize=True)
            encoded.append({"bytes": buffer.getvalue(), "path": None})
        image_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        table = pa.table({"image": pa.array(encoded, image_type), "label": pa.array(labels[rows], pa.int64())})
        with files.atomic(target / f"{split}.parquet") as file:
            pq.write_table(table, file, compression="zstd")
        print(files.sha256(target / f"{split}.parquet"), f"{split}.parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent)
