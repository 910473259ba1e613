"""Several ranks train what one process trains: the same curve and weights up to rounding, the same bytes every time.

Ranks add up in another order than one process. In float32 that soon takes some activation across the kink of a ReLU,
and from there on two trainings part; so they are compared in float64, and in float32 over one step that meets no kink.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor, nn

from unlearnable import files
from unlearnable.compute import draws
from unlearnable.compute.augment import draw
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.ranks import launch
from unlearnable.jobs.ranks.worker import JointLoop
from unlearnable.networks.architectures.wrn34_10 import Block
from unlearnable.networks.folding import ConvNorm, PixelNetwork, folding, pair
from unlearnable.randomness import generator
from unlearnable.stages import source_model as sources
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.source_model import train_source_model
from unlearnable.training.fit import fit
from unlearnable.training.joint_batch_norm import JointBatchNorm, synchronise
from unlearnable.training.loop import Loop
from unlearnable.training.ranks import ALONE, Group, Ranks
from unlearnable.training.settings import Training

from ..exact import exactly, in_float64

CPU = torch.device("cpu")
STEPS, BATCH = 6, 8
EPSILON = 2.0**-23  # of float32
# Losses are means of float32 over a batch. Added in two orders, n numbers differ by n epsilons of their size at most.
LOSSES = BATCH * EPSILON
# Logits and the gradients by pixels are rounded to float32 on the way. What one of them that falls to the other side
# of a rounding would do to the weights stays below this; without, float64's own rounding is at 1e-15.
WEIGHTS = 10 * EPSILON
KINDS = (torch.int16, torch.int64, torch.float32, torch.bfloat16)
METHODS: dict[str, dict[str, Any]] = {
    "clean": {"algorithm": "clean"},
    "em": {"algorithm": "em", "k_u": 2},
    "em, previous": {"algorithm": "em", "k_u": 2, "start": "previous"},
    "em, started": {"algorithm": "em", "k_u": 2, "start": {"noise": "pil"}},
    "em, augmented": {"algorithm": "em", "k_u": 2, "frame": "augmented"},
    "rem": {"algorithm": "rem", "k_u": 2, "k_a": 2, "j": 2},
    "rem, previous": {"algorithm": "rem", "k_u": 2, "k_a": 1, "j": 2, "start": "previous"},
    "rem, free": {"algorithm": "rem", "k_u": 2, "j": 2, "attack": "free"},
    "sem": {"algorithm": "sem", "k_u": 2, "k_a": 1, "j": 2},
}
RESUMED = ("em, previous", "rem")


def split() -> Split:
    """21 images: two batches of 8 an epoch, so that ``start: previous`` meets images again; labels in no order."""
    found = np.random.default_rng(0)
    return Split(found.integers(0, 256, (21, 8, 8, 1), np.uint8), found.permutation(21) % 3, ["cat", "dog", "owl"])


def config(method: dict[str, Any], **training: Any) -> dict[str, Any]:
    settings = {"network": "small-cnn", "steps": STEPS, "batch_size": BATCH, "precision": "float32", "history_every": 1}
    return {
        "training": settings | training,
        "method": method,
        "augmentation": {"flip": True, "crop_padding": 1},
        "rho_u": 8,
        "rho_a": 4,
        "seed": 3,
    }


def train(settings: dict[str, Any], folder: Path, ranks: Ranks, loop: Loop | None = None) -> None:
    folder.mkdir(exist_ok=True)
    files = [folder / name for name in ("model.safetensors", "history.parquet", "metrics.json")]
    started = isinstance(settings["method"].get("start"), dict)
    base = np.random.default_rng(1).integers(-8, 9, (21, 8, 8, 1), np.int8) if started else None
    checked = SourceModelSettings.model_validate(settings)
    train_source_model(checked, split(), loop or Loop(), CPU, *files, base=base, ranks=ranks)


def unpaired() -> nn.Module:
    """A small wide residual network: three batch norms of which no convolution comes before, one in a pair."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, padding=1), Block(4, 8, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    network = PixelNetwork(nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3)))
    pair(network)
    return network


def fit_unpaired(ranks: Ranks) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Adversarial training of ``unpaired``, in float64."""
    network = exactly(unpaired())
    synchronise(network, ranks)

    def inputs(frozen: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, g: torch.Generator) -> Lesson:
        mine = ranks.draws(g, BATCH)
        z = draw(Augmentation(flip=True, crop_padding=1), x, mine)(x)
        return Lesson(z + ascend(frozen, z, y, 4, 2, 0.5, uniform(z, 4, mine)), y, clean=z)

    settings = Training(network="small-cnn", steps=4, batch_size=BATCH, precision="float32")
    feed = Feed(split(), CPU)
    engine = Engine(network, torch.float64, 64)
    rows, _ = fit(
        *(engine, feed, settings, inputs, Loop()), shape=feed.shape, seed=3, stage="test", row_every=1, ranks=ranks
    )
    return rows, network.state_dict()


def norms(ranks: Ranks, precision: torch.dtype) -> dict[str, Tensor]:
    """Three passes through batch norm alone and behind a convolution: outputs, gradients and running statistics."""
    g = torch.Generator().manual_seed(5)
    x = 100 + 10 * torch.rand(3, BATCH, 5, 4, 4, generator=g, dtype=torch.float64)
    weights = torch.rand(3, BATCH, 5, 4, 4, generator=g, dtype=torch.float64)
    torch.manual_seed(0)
    network = nn.Sequential(nn.BatchNorm2d(5), ConvNorm(nn.Conv2d(5, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5)))
    nn.init.uniform_(network.get_parameter("0.weight"), 0.5, 2)
    synchronise(network, ranks)
    exact = precision == torch.float64
    network.to(torch.float64 if exact else torch.float32)
    found: dict[str, Tensor] = {}
    for step in range(3):
        mine = torch.from_numpy(ranks.part(x[step].numpy())).to(torch.float64 if exact else precision).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=not exact):
            out = network(mine)
        assert out.dtype == precision
        (out.double() * torch.from_numpy(ranks.part(weights[step].numpy()))).sum().backward()
        assert mine.grad is not None
        found |= {f"out {step}": ranks.gathered(out.detach()), f"gradient {step}": ranks.gathered(mine.grad)}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        found[name] = ranks.mean(parameter.grad) * ranks.size
    return found | {name: value for name, value in network.named_buffers() if value is not None}


def stop_and_go_on(name: str, folder: Path, ranks: Ranks) -> str:
    """Train a source model in two parts; gives what this rank said when it stopped."""
    checkpoint = folder / f"{name} checkpoint.pt"
    asking = JointLoop(checkpoint, "f", every=1000, ranks=ranks)
    asking.stop_requested = ranks.rank == 1  # known to the first one step later
    with pytest.raises(Stopped) as stopped:
        train(config(METHODS[name]), folder / "stopped", ranks, asking)
    if ranks.rank == 0:
        shutil.copy(checkpoint, folder / f"{name}.pt")
    resumed = JointLoop(checkpoint, "f", every=1000, ranks=ranks)
    train(config(METHODS[name]), folder / f"{name} resumed", ranks, resumed)
    return str(stopped.value)


def rank_main(rank: int, size: int, folder: Path) -> None:
    """What each of several processes does; results lie in ``folder`` afterwards."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    ranks = Group()
    with in_float64(sources):
        for name, method in METHODS.items():
            train(config(method), folder / name, ranks)
    train(config(METHODS["clean"], steps=1), folder / "one step in float32", ranks)
    found: dict[str, Any] = {
        "unpaired": fit_unpaired(ranks),
        "norms": norms(ranks, torch.float64),
        "bfloat16 norms": norms(ranks, torch.bfloat16),
        "gathered": [ranks.gathered(torch.arange(6, dtype=kind).view(2, 3) + 10 * rank) for kind in KINDS],
        "flags": ranks.any(False, rank == 1),
    }
    with in_float64(sources):
        for name in RESUMED:
            found[f"{name} stopped"] = stop_and_go_on(name, folder, ranks)
    torch.save(found, folder / f"rank-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    started = multiprocessing.get_context("spawn")
    processes = [started.Process(target=rank_main, args=(rank, 2, folder)) for rank in range(2)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(300)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()  # one that waits for another that failed
    return folder


def results(folder: Path) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """The history and the weights of a source model."""
    history: dict[str, list[float]] = pq.read_table(folder / "history.parquet").to_pydict()
    return history, load_file(folder / "model.safetensors")


def assert_equal_up_to_rounding(a: dict[str, Tensor], b: dict[str, Tensor], within: float = WEIGHTS) -> None:
    """Equal but for a share of the largest value of each tensor."""
    assert a.keys() == b.keys()
    off = {name: (a[name].double() - other.double()).abs().max() / other.abs().max() for name, other in b.items()}
    assert {name: float(share) for name, share in off.items() if not share <= within} == {}


# ---- training


@pytest.mark.parametrize("name", METHODS)
def test_two_ranks_train_what_one_process_trains(name: str, both: Path, tmp_path: Path) -> None:
    with in_float64(sources):
        train(config(METHODS[name]), tmp_path, ALONE)
    (history, weights), (expected, others) = results(both / name), results(tmp_path)
    assert history["passes"] == expected["passes"]
    assert history["batch_accuracy"] == expected["batch_accuracy"]
    assert history["loss"] == pytest.approx(expected["loss"], rel=LOSSES)
    assert_equal_up_to_rounding(weights, others)
    assert {value.dtype for value in weights.values()} == {torch.float64, torch.int64}
    assert files.read_json(both / name / "metrics.json")["device"].startswith("2 x cpu")


def test_two_ranks_take_the_step_in_float32_that_one_process_takes(
    both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: list[Tensor] = []  # of every ReLU
    relu = nn.ReLU.forward

    def seen(module: nn.ReLU, x: Tensor) -> Tensor:
        if module.training:
            inputs.append(x.detach())
        return relu(module, x)

    with monkeypatch.context() as patch:
        patch.setattr(nn.ReLU, "forward", seen)
        train(config(METHODS["clean"], steps=1), tmp_path, ALONE)
    activations = [x for x in inputs if len(x) == BATCH]  # others were to measure the memory
    assert len(activations) == 4
    assert min(float(x.abs().min()) for x in activations) > 100 * EPSILON  # so none of them can cross its ReLU's kink
    (history, weights), (expected, others) = results(both / "one step in float32"), results(tmp_path)
    assert history["loss"] == pytest.approx(expected["loss"], rel=10 * LOSSES)
    # The largest sums are over the pixels of a batch, in maps of 4 x 4.
    assert_equal_up_to_rounding(weights, others, BATCH * 4 * 4 * EPSILON)
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}


def test_two_ranks_train_a_network_with_batch_norm_before_its_convolutions(both: Path) -> None:
    rows, weights = torch.load(both / "rank-0.pt")["unpaired"]
    expected, others = fit_unpaired(ALONE)
    assert len(rows) == len(expected) == 4
    for row, other in zip(rows, expected, strict=True):
        assert row == pytest.approx(other, rel=LOSSES)
    assert_equal_up_to_rounding(weights, others)


def test_all_ranks_end_with_the_same_network(both: Path) -> None:
    first, second = (torch.load(both / f"rank-{rank}.pt")["unpaired"] for rank in range(2))
    assert first[0] == second[0]
    assert all(torch.equal(value, second[1][name]) for name, value in first[1].items())


@pytest.mark.parametrize("name", RESUMED)
def test_ranks_stop_together_and_go_on_to_the_same_bytes(name: str, both: Path) -> None:
    said = [torch.load(both / f"rank-{rank}.pt")[f"{name} stopped"] for rank in range(2)]
    assert said[0].startswith("asked to stop: state saved after step 2 of 6")
    assert said[1] == "the first rank has saved the state"
    assert not list((both / "stopped").iterdir())
    for file in ("model.safetensors", "history.parquet"):
        assert (both / f"{name} resumed" / file).read_bytes() == (both / name / file).read_bytes()


def test_one_process_goes_on_with_what_ranks_saved(both: Path, tmp_path: Path) -> None:
    checkpoint = Path(shutil.copy(both / "rem.pt", tmp_path))
    with in_float64(sources):
        train(config(METHODS["rem"]), tmp_path / "resumed", ALONE, Loop(checkpoint, "f"))
    (history, weights), (expected, others) = results(tmp_path / "resumed"), results(both / "rem")
    assert history["loss"][:2] == expected["loss"][:2]
    assert history["loss"] == pytest.approx(expected["loss"], rel=LOSSES)
    assert_equal_up_to_rounding(weights, others)


def test_dropout_is_drawn_by_every_rank_for_itself() -> None:
    class Second(Ranks):
        place = (1,)

    def after_training(ranks: Ranks) -> Tensor:
        torch.manual_seed(0)
        linear = nn.Linear(64, 3)
        network = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), linear)
        feed, settings = (
            Feed(split(), CPU),
            Training(network="small-cnn", steps=1, batch_size=BATCH, precision="float32"),
        )

        def inputs(frozen: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, g: torch.Generator) -> Lesson:
            return Lesson(x / 255, y, clean=x)

        engine = Engine(network, torch.float32, 64)
        fit(engine, feed, settings, inputs, Loop(), shape=feed.shape, seed=3, stage="s", row_every=1, ranks=ranks)
        return linear.weight.detach()

    assert torch.equal(after_training(Second()), after_training(Second()))
    assert not torch.equal(after_training(Second()), after_training(ALONE))


# ---- what ranks exchange


def test_what_is_gathered_comes_in_the_order_of_the_ranks(both: Path) -> None:
    for rank in range(2):
        found = torch.load(both / f"rank-{rank}.pt")
        for tensor in found["gathered"]:
            assert tensor.tolist() == [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]]
        assert [tensor.dtype for tensor in found["gathered"]] == [
            torch.int16,
            torch.int64,
            torch.float32,
            torch.bfloat16,
        ]
        assert found["flags"] == (False, True)


@pytest.mark.parametrize(
    ("key", "precision", "within"), [("norms", torch.float64, 1e-11), ("bfloat16 norms", torch.bfloat16, 2e-2)]
)
def test_batch_norm_over_ranks_is_batch_norm_over_the_whole_batch(
    key: str, precision: torch.dtype, within: float, both: Path
) -> None:
    expected = norms(ALONE, precision)
    for rank in range(2):
        assert_equal_up_to_rounding(torch.load(both / f"rank-{rank}.pt")[key], expected, within)


def test_joint_batch_norm_has_the_state_and_the_eval_mode_of_batch_norm() -> None:
    class Two(Ranks):
        size = 2

    network = unpaired().eval().double()
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 255
    expected, state = network(x), {name: value.clone() for name, value in network.state_dict().items()}
    synchronise(network, Two())
    assert sum(isinstance(module, JointBatchNorm) for module in network.modules()) == 3
    assert list(network.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert torch.equal(network(x), expected)
    with folding(network, torch.float64):
        torch.testing.assert_close(network(x), expected)


def test_the_draws_of_a_part_are_those_rows_of_the_whole() -> None:
    def drawn(rows: int, source: draws.Draws) -> Tensor:
        first = draws.by_rows(rows, source, lambda n, g: torch.rand(n, 3, generator=g))
        return torch.cat([first, draws.by_rows(rows, source, lambda n, g: torch.rand(n, 3, generator=g))], 1)

    whole = drawn(12, generator(0, "draws"))
    parts = [drawn(4, draws.Part(generator(0, "draws"), start, start + 4, 12)) for start in (0, 4, 8)]
    assert torch.equal(torch.cat(parts), whole)
    with pytest.raises(ValueError, match="a draw of 5 rows for rows 4 to 8 of a batch"):
        drawn(5, draws.Part(generator(0, "draws"), 4, 8, 12))


# ---- what ranks refuse


def start(settings: dict[str, Any], dataset: Path, folder: Path, ranks: int) -> None:
    model, history, metrics = (f"{folder}/{name}" for name in ("model.safetensors", "history.parquet", "metrics.json"))
    launch.source_model(
        SourceModelSettings.model_validate(settings), dataset, Loop(), CPU, model, history, metrics, ranks, 1
    )


def test_a_batch_that_ranks_cannot_share_equally_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source_model: batch_size is 8, which 3 GPUs cannot share equally; .* of 3"):
        start(config(METHODS["em"]), tmp_path, tmp_path, 3)


@pytest.mark.parametrize("method", ["em-classwise", "mi-ue"])
def test_noise_that_couples_the_images_of_a_batch_is_refused(method: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"the source model of {method}, .* trains on one GPU, not on 2; grant"):
        start(config({"algorithm": method}), tmp_path, tmp_path, 2)


def test_what_ranks_find_wrong_is_told_once_and_ends_all_of_them(
    store: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="batch_size is 50, but there are only 21 training images") as refused:
        start(config(METHODS["em"], batch_size=50), store(split()), tmp_path / "out", 2)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
