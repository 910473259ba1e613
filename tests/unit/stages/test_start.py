"""What a job imports: a third of a short training is its start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TRAIN = """
import sys
from pathlib import Path

import numpy as np
import torch

from unlearnable.compute.device import set_up
from unlearnable.datasets.split import Split
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.stages.victim import train_victim
from unlearnable.training.loop import Loop

set_up(1)
assert torch.get_deterministic_debug_mode() == 1  # deterministic, and a warning where that is not possible
out = Path(sys.argv[1])
images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1)
split = Split(images, np.array([0, 1, 0, 1]), ["cat", "dog"])
training = {"network": "small-cnn", "steps": 1, "batch_size": 4, "k_a": 1, "evaluate_every": 1, "robust_steps": 1}
settings = VictimSettings.model_validate(
    {"training": training, "countermeasure": {"kind": "none"}, "augmentation": {}, "radius": 4, "seed": 0}
)
files = [out / name for name in ("model.safetensors", "history.parquet", "metrics.json")]
train_victim(settings, split, split, Loop(), torch.device("cpu"), *files)
heavy = {"torch._dynamo", "torch._inductor", "sympy", "pandas", "matplotlib", "torchvision", "cv2", "scipy"}
print(*sorted(heavy & sys.modules.keys()))
"""


def test_a_training_imports_neither_the_compiler_nor_pandas(tmp_path: Path) -> None:
    """torch imports its compiler for ``use_deterministic_algorithms`` and for its own optimisers: over a second."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
    assert (tmp_path / "metrics.json").exists()
