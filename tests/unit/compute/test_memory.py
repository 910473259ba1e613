"""The memory that a job will need, against what it took, and the batch that fits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unlearnable.compute import memory
from unlearnable.compute.engine import choose_engine
from unlearnable.countermeasures.base import Lesson
from unlearnable.errors import UserError
from unlearnable.networks.build import create
from unlearnable.training.memory import of_step, require_step

CPU = torch.device("cpu")

SCRIPT = """
import sys
from pathlib import Path
import torch
import torch.nn.functional as F
from unlearnable.compute import memory as compute_memory
from unlearnable.compute.frozen import frozen
from unlearnable.networks.build import create
from unlearnable.training import memory as training_memory

name, channels, size, batch, kind = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
network = create(name, channels, 10, size, 0, torch.device("cpu"))
shape = (channels, size, size)
plan = compute_memory.of_pass if kind == "of_pass" else training_memory.of_step
planned = plan(network, shape, torch.float32).bytes(batch)

def resident(field):
    # not getrusage's peak, which counts the process that started this one
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))

def work(x, y):
    if kind == "of_pass":
        with frozen(network, torch.float32) as fixed:
            fixed.gradient(x, y)
    else:
        network.train()
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
        optimizer.zero_grad()

x, y = torch.zeros(batch, *shape), torch.zeros(batch, dtype=torch.int64)
work(x[:8], y[:8])  # what any batch needs once: libraries, kernels
before = resident("VmRSS:")
work(x, y)
print(planned, resident("VmHWM:") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory from /proc")
@pytest.mark.parametrize(
    ("network", "channels", "size", "batch"),
    [("small-cnn", 1, 28, 8192), ("resnet20", 1, 28, 512), ("resnet18", 3, 32, 128), ("vit-tiny", 1, 28, 64)],
)
@pytest.mark.parametrize("kind", ["of_pass", "of_step"])
def test_the_planned_peak_is_the_measured_one(network: str, channels: int, size: int, batch: int, kind: str) -> None:
    arguments = [network, *map(str, (channels, size, batch)), kind]
    # What is freed goes back to the system at once; else the peak depends on what glibc happens to have kept.
    at_once = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, check=True, env=os.environ | at_once
    )
    planned, measured = map(float, done.stdout.split())
    assert planned == pytest.approx(measured, rel=0.15)


def test_planning_leaves_the_network_as_it_is() -> None:
    network = create("small-cnn", 1, 3, 8, 0, CPU).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for plan in (memory.of_pass, of_step):
        plan(network, (1, 8, 8), torch.float32)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in network.parameters())


def test_a_step_that_does_not_fit_is_refused_naming_the_batch_that_would(monkeypatch: pytest.MonkeyPatch) -> None:
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    footprint = of_step(network, (1, 8, 8), torch.float32)
    monkeypatch.setattr(memory, "free_bytes", lambda device: footprint.bytes(100) / memory.USABLE)
    require_step(network, (1, 8, 8), torch.float32, CPU, 100, "victim")
    with pytest.raises(UserError, match=r"victim: a step with batch_size 101 needs .* a batch_size of 100 would fit"):
        require_step(network, (1, 8, 8), torch.float32, CPU, 101, "victim")
    monkeypatch.setattr(memory, "free_bytes", lambda device: 1000)
    with pytest.raises(UserError, match=r"not even a single image fits"):
        require_step(network, (1, 8, 8), torch.float32, CPU, 2, "victim")


def test_passes_are_split_into_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    footprint = memory.of_pass(network, (1, 8, 8), torch.float32)
    for room, expected in ((footprint.bytes(10), 10), (1, 1), (2**40, memory.CPU_MICRO_BATCH)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, room=room: room / memory.USABLE)
        engine = choose_engine(network, (1, 8, 8), torch.float32, passes=10**9)
        assert engine.micro_batch == expected
        assert engine.forward is None  # compilation does not pay on a CPU


def test_an_objective_of_two_passes_needs_the_memory_of_both() -> None:
    network = create("resnet18", 3, 10, 32, 0, CPU)

    def twice(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
        logits = network(lesson.pixels)
        return network(lesson.clean).square().mean() + logits.square().mean(), logits

    one = of_step(network, (3, 32, 32), torch.float32)
    two = of_step(network, (3, 32, 32), torch.float32, twice)
    assert two.fixed == one.fixed
    assert two.per_image == pytest.approx(2 * one.per_image, rel=0.1)


def test_free_memory_is_known() -> None:
    assert 2**20 < memory.free_bytes(CPU) < 2**60


def test_what_a_control_group_only_caches_counts_as_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "CONTROL_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 300000\nactive_file 200000\ninactive_file 350000\nfile 600000\n")
    assert memory.free_bytes(CPU) == 1_000_000 - 900_000 + 550_000
