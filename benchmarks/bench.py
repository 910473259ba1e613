"""``make bench``: the library against the plain implementation, interleaved in one process, and against the ceiling.

Writes the numbers as ``steps.csv``, ``ladder.csv`` and ``profile.csv`` and the report ``bench.md`` into
``results/bench``. Steps are smaller on a CPU, where one full source step of ResNet-18 would take 20 minutes; the table
states the passes of each step.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import statistics
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks import precisions
from benchmarks.ceiling import matmul_flops, pass_flops, seconds
from benchmarks.profiles import shares
from benchmarks.report import machine, render_ladder, render_profile, render_steps
from benchmarks.steps import BATCH, CLASSES, Subject, ladder, steps, subjects
from unlearnable import files
from unlearnable.compute import memory
from unlearnable.compute.device import choose_device, choose_precision, keep_freed_memory
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import choose_engine
from unlearnable.compute.frozen import frozen
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets import shards
from unlearnable.datasets.encoded import encode
from unlearnable.datasets.protected_parquet import write_parquet
from unlearnable.datasets.split import Array, Split
from unlearnable.networks import build as models
from unlearnable.stages.settings.victim import VictimTraining as Victim
from unlearnable.training.fit import fit
from unlearnable.training.loop import Loop
from unlearnable.training.settings import Precision

ROOT = Path(__file__).resolve().parents[1]
PAPER_PASSES = 3.0195e6  # REM on CIFAR-10: 5,000 steps of 561 passes and a noise pass of 550 over 390 batches


def materialising(repetitions: int) -> dict[str, Any]:
    """50,000 images of 32x32x3 to Parquet and NumPy with hashes, against encoding their PNGs alone on all cores."""
    draws = np.random.default_rng(0)
    coarse = draws.integers(0, 256, (50_000, 8, 8, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    images = np.clip(coarse.astype(np.int16) + draws.integers(-8, 9, coarse.shape), 0, 255).astype(np.uint8)
    split = Split(images, np.arange(len(images)) % CLASSES, [str(c) for c in range(CLASSES)])
    everything = np.ones(len(images), bool)
    cpu = torch.device("cpu")

    def encode_part(rows: Array) -> list[bytes]:
        return [encode(image) for image in rows]

    def encode_all() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(encode_part, np.array_split(images, 100)))

    def write() -> None:
        with TemporaryDirectory() as folder:
            shards.write(Path(folder) / "arrays", split, 10_000)
            write_parquet(Path(folder) / "parquet", split, everything, 10_000)

    pairs = [(seconds(encode_all, cpu), seconds(write, cpu)) for _ in range(repetitions)]
    return _row("-", "50,000 images to Parquet and NumPy", 0, pairs)


def _row(network: str, name: str, passes: int, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    rival, ours = zip(*pairs, strict=True)
    ratios = [a / b for a, b in pairs]
    return {
        "network": network,
        "work": name,
        "passes": passes,
        "plain_s": statistics.median(rival),
        "plain_spread_s": max(rival) - min(rival),
        "ours_s": statistics.median(ours),
        "ours_spread_s": max(ours) - min(ours),
        "ratio": statistics.median(ratios),
    }


def measure(
    subject: Subject, precision: Precision, device: torch.device, repetitions: int, workers: int
) -> list[dict[str, Any]]:
    """Time every step of one network, plain and fast in turn."""
    dtype = choose_precision(precision, device)
    network = models.create(subject.network, subject.channels, CLASSES, subject.size, 0, device)
    shape = (BATCH, subject.channels, subject.size, subject.size)
    flops = pass_flops(network, torch.zeros(shape, device=device), torch.zeros(BATCH, dtype=torch.int64, device=device))
    ceiling = matmul_flops(dtype, device)
    rows = []
    for step in steps(subject, precision, device, workers):
        step.plain(), step.fast()  # warm
        pairs = [(seconds(step.plain, device), seconds(step.fast, device)) for _ in range(repetitions)]
        row = _row(subject.network, step.name, step.passes, pairs)
        row["passes_per_s"] = step.passes / row["ours_s"]
        row["gflops"] = flops * row["passes_per_s"] / 1e9
        row["ceiling_gflops"] = ceiling / 1e9
        row["share_of_ceiling"] = flops * row["passes_per_s"] / ceiling
        rows.append(row)
        logging.info("%s, %s: %.2fx", subject.network, step.name, row["ratio"])
    return rows


def climb(subject: Subject, precision: Precision, device: torch.device, repetitions: int) -> list[dict[str, Any]]:
    """Time a REM noise step with one more ingredient each time, in turn."""
    rungs = ladder(subject, precision, device)
    first = {name: seconds(work, device) for name, work in rungs.items()}
    times: dict[str, list[float]] = {name: [] for name in rungs}
    for _ in range(repetitions):
        for name, work in rungs.items():
            times[name].append(seconds(work, device))
    rows: list[dict[str, Any]] = []
    for name, measured in times.items():
        took = statistics.median(measured)
        row = {"network": subject.network, "rung": name, "first_call_s": first[name], "s": took}
        rows.append(row | {"gain": rows[-1]["s"] / took if rows else 1.0, "in_all": (rows or [row])[0]["s"] / took})
    return rows


def profiled(subject: Subject, precision: Precision, device: torch.device) -> list[dict[str, Any]]:
    """The shares of time in a REM noise step, plain and with all ingredients."""
    rungs = ladder(subject, precision, device)
    return [
        {"network": subject.network, "implementation": name, **shares(work, device)}
        for name, work in (("plain", rungs["plain"]), ("library", list(rungs.values())[-1]))
    ]


def planned_memory(subject: Subject, precision: Precision, device: torch.device) -> str:
    """The planned and the measured peak of a pass on a GPU, in words."""
    dtype = choose_precision(precision, device)
    network = models.create(subject.network, subject.channels, CLASSES, subject.size, 0, device)
    shape = (subject.channels, subject.size, subject.size)
    planned = memory.of_pass(network, shape, dtype).bytes(BATCH)
    x, y = torch.zeros(BATCH, *shape, device=device), torch.zeros(BATCH, dtype=torch.int64, device=device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    with frozen(network, dtype) as fixed:
        fixed.gradient(x, y)
    measured = torch.cuda.max_memory_allocated(device) - before
    return f"{subject.network}, planned {planned / 2**20:,.0f} MiB, measured {measured / 2**20:,.0f} MiB"


def sign_agreement(device: torch.device) -> dict[str, float]:
    """How many signs of the input gradient bfloat16 shares with float32, on a random and on a trained small CNN."""
    folder = ROOT / "workflow/datasets/fashion-mini"
    table = pd.read_parquet(folder / "train.parquet").head(2048)
    images = np.stack([_decode(cell["bytes"]) for cell in table["image"]])
    feed = Feed(Split(images, table["label"].to_numpy(np.int64, copy=True), []), device)
    x, y, _ = next(feed.batches([np.arange(BATCH)]))
    network = models.create("small-cnn", 1, CLASSES, 28, 0, device)
    agreement = {"random": _agreement(network, x.float(), y)}
    training = Victim(network="small-cnn", steps=200, precision="float32")
    fit(
        choose_engine(network, (1, 28, 28), torch.float32, passes=0),
        feed,
        training,
        lambda _, x, y, rows, g: Lesson(x, y, clean=x),
        Loop(),
        shape=feed.shape,
        seed=0,
        stage="benchmark",
        row_every=200,
    )
    network.eval()
    return agreement | {"trained": _agreement(network, x.float(), y)}


def _decode(data: bytes) -> Array:
    return np.array(Image.open(io.BytesIO(data)))[..., None]


def _agreement(network: nn.Module, x: Tensor, y: Tensor) -> float:
    signs = []
    for precision in (torch.float32, torch.bfloat16):
        with frozen(network, precision) as fixed:
            signs.append(fixed.gradient(x, y).sign())
    return float((signs[0] == signs[1]).float().mean())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch, on a CPU")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["resnet18", "small-cnn"])
    parser.add_argument("--out", type=Path, default=ROOT / "results/bench")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("unlearnable").setLevel(logging.WARNING)
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    precision = choose_precision(options.precision, device)

    rows, rungs, profiles, planned = [], [], [], []
    measured = [subject for subject in subjects(device) if subject.network in options.networks]
    for subject in measured:
        rows += measure(subject, options.precision, device, options.repetitions, workers=2)
        rungs += climb(subject, options.precision, device, options.repetitions)
        profiles += profiled(subject, options.precision, device)
        if device.type == "cuda":
            planned.append(planned_memory(subject, options.precision, device))
    rows.append(materialising(repetitions=1))
    table = pd.DataFrame(rows)
    facts = [
        machine(device) + f"; {str(precision).removeprefix('torch.')}",
        "Ceiling: a large matrix product, "
        + ", ".join(
            f"{str(p).removeprefix('torch.')} {matmul_flops(p, device) / 1e9:,.0f} GFLOP/s"
            for p in dict.fromkeys((torch.float32, precision))  # emulated bfloat16 takes minutes and is meaningless
        ),
        "Signs of the input gradient shared by bfloat16 and float32, small CNN: "
        + ", ".join(f"{name} weights {share:.3f}" for name, share in sign_agreement(device).items()),
    ]
    if precisions.has_bfloat16(device):
        facts += precisions.facts(precisions.compare(measured, device, options.repetitions), device)
    else:
        facts.append("bfloat16: not measured, as this hardware has no instructions for it")
    facts += [f"Peak memory of a pass of {BATCH} images: {'; '.join(planned)}"] if planned else []
    rem = table[(table["network"] == "resnet18") & (table["work"] == "REM noise step")]
    if len(rem):
        hours = PAPER_PASSES / rem["passes_per_s"].iloc[0] / 3600
        facts.append(f"REM on CIFAR-10, 3.02 million passes at that rate: {hours:,.1f} hours")
    options.out.mkdir(parents=True, exist_ok=True)
    tables = {"steps": table, "ladder": pd.DataFrame(rungs), "profile": pd.DataFrame(profiles)}
    for name, numbers in tables.items():
        with files.atomic(options.out / f"{name}.csv") as file:
            file.write(numbers.to_csv(index=False).encode())
    text = "\n".join([render_steps(table, facts), render_ladder(tables["ladder"]), render_profile(tables["profile"])])
    with files.atomic(options.out / "bench.md") as file:
        file.write(text.encode())
    print(text)


if __name__ == "__main__":
    main()
