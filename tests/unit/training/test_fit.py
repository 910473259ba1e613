"""The training loop, and loops that stop and go on."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from unlearnable.compute import memory
from unlearnable.compute.augment import draw
from unlearnable.compute.device_batches import Feed
from unlearnable.compute.engine import Engine
from unlearnable.compute.frozen import FrozenNetwork
from unlearnable.compute.pgd import ascend, uniform
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.datasets.split import Split
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.signals import stopping_on_signals
from unlearnable.jobs.snakemake_process import Process, why_unwanted
from unlearnable.networks.build import create
from unlearnable.training.fit import Inputs, fit
from unlearnable.training.loop import Loop
from unlearnable.training.settings import Training

from ..exact import exactly

CPU = torch.device("cpu")
STEPS = 11
T = Augmentation(flip=True, crop_padding=1)


def settings(**changes: Any) -> Training:
    values: dict[str, Any] = {"network": "small-cnn", "steps": STEPS, "batch_size": 6, "precision": "float32"}
    return Training(**(values | changes))


def attacked(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
    """Adversarial training, so that every step has draws and passes of its own."""
    z = draw(T, x, draws)(x)
    return Lesson(z + ascend(network, z, y, 4, 2, 0.5, uniform(z, 4, draws)), y, clean=z)


def clean(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
    return Lesson(x, y, clean=x)


class Run:
    """One training of 17 images in batches of 6: two batches an epoch, the rest left out."""

    def __init__(self, train: Split) -> None:
        self.feed = Feed(train, CPU)
        self.images, self.labels, _ = next(self.feed.batches([np.arange(len(self.feed))]))
        self.network: nn.Module = create("small-cnn", 1, 3, 8, 0, CPU)
        self.precision = torch.float32

    def __call__(
        self, loop: Loop, inputs: Inputs = attacked, carried: tuple[Tensor, ...] = (), **changes: Any
    ) -> tuple[list[dict[str, float]], int]:
        self.network = create("small-cnn", 1, 3, 8, 0, CPU)
        if self.precision == torch.float64:
            exactly(self.network)
        return fit(
            Engine(self.network, self.precision, 4),
            self.feed,
            settings(**changes),
            inputs,
            loop,
            shape=self.feed.shape,
            carried=carried,
            seed=3,
            stage="test",
            row_every=4,
            measure=self.measure,
        )

    def measure(self) -> dict[str, float]:
        return {"weight": next(self.network.parameters()).detach().sum().item()}

    def weights(self) -> dict[str, Tensor]:
        return {key: value.clone() for key, value in self.network.state_dict().items()}


@pytest.fixture
def run(make_split: Callable[..., Split]) -> Run:
    return Run(make_split(17))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[key]) for key, value in a.items())


def stopping_after(loop: Loop, steps: int) -> Inputs:
    """Ask ``loop`` to stop during its ``steps``-th step, as a signal handler would."""
    seen = 0

    def inputs(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        nonlocal seen
        seen += 1
        loop.stop_requested |= seen == steps
        return attacked(network, x, y, rows, draws)

    return inputs


# ---- training


def test_dropout_depends_on_the_seed_and_the_step_alone(run: Run) -> None:
    def trained(global_seed: int) -> dict[str, Tensor]:
        network = nn.Sequential(create("small-cnn", 1, 3, 8, 0, CPU), nn.Dropout(0.5))
        torch.manual_seed(global_seed)
        engine = Engine(network, torch.float32, 4)
        fit(engine, run.feed, settings(), clean, Loop(), shape=run.feed.shape, seed=3, stage="test", row_every=4)
        return network.state_dict()

    assert same(trained(1), trained(2))


def test_the_history_has_a_row_for_every_interval_and_the_last_step(run: Run) -> None:
    history, passes = run(Loop())
    assert [row["step"] for row in history] == [4, 8, 11]
    assert [row["passes"] for row in history] == [4 * 3, 8 * 3, 11 * 3]  # two of the attack, one of the update
    assert passes == 11 * 3
    assert all(row.keys() == {"step", "loss", "batch_accuracy", "passes", "weight"} for row in history)
    assert all(0 <= row["batch_accuracy"] <= 1 for row in history)


def test_training_learns(run: Run) -> None:
    history, _ = run(Loop(), clean, steps=60, lr=0.05, weight_decay=0.0)
    assert history[-1]["loss"] < 0.3 < 0.9 < history[0]["loss"]
    assert history[-1]["batch_accuracy"] > 0.9


def test_training_is_plain_sgd_with_a_step_schedule_over_shuffled_whole_batches(run: Run) -> None:
    batches: list[Tensor] = []

    def seeing(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        same_image = (run.images.float()[None] == x[:, None]).flatten(2).all(2)
        batches.append(same_image.int().argmax(1))
        assert torch.equal(run.labels[batches[-1]], y)
        return Lesson(x, y, clean=x)

    run.precision = torch.float64
    run(Loop(), seeing, lr_drops=[0.4, 0.8], momentum=0.9, weight_decay=0.01)
    for first, second in zip(batches[0:10:2], batches[1:10:2], strict=True):
        assert len(set(first.tolist() + second.tolist())) == 12  # no image twice in an epoch
    assert not torch.equal(batches[0], batches[2])  # another order in every epoch

    network = exactly(create("small-cnn", 1, 3, 8, 0, CPU))
    parameters = list(network.parameters())
    momenta = [torch.zeros_like(p) for p in parameters]
    network.train()
    for step, chosen in enumerate(batches):
        rate = 0.1 * (0.1 if step >= 5 else 1) * (0.1 if step >= 9 else 1)  # 0.4 * 11 = 4.4, 0.8 * 11 = 8.8
        loss = nn.functional.cross_entropy(network(run.images[chosen].float()), run.labels[chosen])
        for p, m, g in zip(parameters, momenta, torch.autograd.grad(loss, parameters), strict=True):
            with torch.no_grad():
                m.mul_(0.9).add_(g + 0.01 * p)
                p.sub_(rate * m)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(run.weights()[key], value, rtol=1e-6, atol=1e-6)


def test_equal_seeds_train_equal_networks_whatever_the_global_stream(run: Run) -> None:
    torch.manual_seed(1)
    first, weights = run(Loop()), run.weights()
    torch.manual_seed(2)
    again = run(Loop())
    assert first == again
    assert same(weights, run.weights())


def test_what_the_inputs_carry_from_step_to_step_is_in_the_checkpoint(run: Run, tmp_path: Path) -> None:
    def training(loop: Loop, steps: int | None = None) -> Tensor:
        visits = torch.zeros(len(run.labels))
        seen = 0

        def inputs(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
            nonlocal seen
            seen += 1
            loop.stop_requested |= seen == steps
            assert torch.equal(x, run.images[rows].float())
            visits[rows] = 2 * visits[rows] + 1
            return Lesson(x, y, clean=x)

        run(loop, inputs, carried=(visits,))
        return visits

    expected = training(Loop())
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Stopped):
        training(Loop(checkpoint, "same"), 5)
    assert torch.equal(training(Loop(checkpoint, "same")), expected)
    assert len(set(expected.tolist())) > 1


def test_every_step_of_every_seed_and_stage_has_draws_of_its_own(run: Run) -> None:
    drawn: list[float] = []

    def drawing(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        drawn.append(torch.rand((), generator=draws, dtype=torch.float64).item())
        return Lesson(x, y, clean=x)

    for seed, stage in ((0, "a"), (1, "a"), (0, "b")):
        network = create("small-cnn", 1, 3, 8, 0, CPU)
        fit(
            Engine(network, torch.float32, 4),
            run.feed,
            settings(),
            drawing,
            Loop(),
            shape=run.feed.shape,
            seed=seed,
            stage=stage,
            row_every=STEPS,
        )
    assert len(set(drawn)) == len(drawn) == 3 * STEPS


def test_an_objective_sees_the_whole_lesson_and_its_passes_count(run: Run) -> None:
    lessons: list[Lesson] = []

    def objective(network: nn.Module, lesson: Lesson) -> tuple[Tensor, Tensor]:
        lessons.append(lesson)
        assert network.training
        logits = network(lesson.pixels)
        return (logits.softmax(1) - network(lesson.clean).softmax(1)).square().sum(), logits

    network = create("small-cnn", 1, 3, 8, 0, CPU)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    history, passes = fit(
        Engine(network, torch.float32, 4),
        run.feed,
        settings(),
        attacked,
        Loop(),
        shape=run.feed.shape,
        seed=3,
        stage="test",
        row_every=1,
        objective=objective,
        objective_passes=2,
    )
    assert passes == STEPS * (2 + 2)
    planned, *trained = lessons  # the first one measures the memory
    assert len(planned.pixels) != 6
    assert [len(lesson.clean) for lesson in trained] == [6] * STEPS
    assert all((lesson.pixels - lesson.clean).abs().max() > 2 for lesson in trained)
    assert all(row["loss"] > 0 for row in history)
    assert not same(before, network.state_dict())


def test_probabilities_can_be_learned_and_accuracy_is_against_the_labels(run: Run) -> None:
    def inverted(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        return Lesson(x, nn.functional.one_hot((y + 1) % 3, 3).float(), clean=x)

    history, _ = run(Loop(), inverted, steps=60, lr=0.05, weight_decay=0.0)
    assert history[-1]["loss"] < 0.3
    assert history[-1]["batch_accuracy"] < 0.1


@pytest.mark.parametrize("stops", [[], [3, 4]])
def test_images_that_are_read_ahead_train_the_same_network(
    stops: list[int], run: Run, make_split: Callable[..., Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, weights = run(Loop()), run.weights()
    enough = memory.free_bytes(CPU)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 0)
    run.feed = Feed(make_split(17), CPU)
    monkeypatch.setattr(memory, "free_bytes", lambda device: enough)
    for steps in stops:
        loop = Loop(tmp_path / "model.checkpoint.pt", "f")
        with pytest.raises(Stopped):
            run(loop, stopping_after(loop, steps))
    assert run(Loop(tmp_path / "model.checkpoint.pt", "f")) == expected
    assert same(run.weights(), weights)


def test_fewer_images_than_a_batch_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"batch_size is 18, but there are only 17 training images; lower batch_size"):
        run(Loop(), batch_size=18)
    run(Loop(), batch_size=17)


@pytest.mark.parametrize("every", [0.0, 1000.0])
def test_a_diverging_training_fails_naming_the_step_and_keeps_its_checkpoint(
    run: Run, tmp_path: Path, every: float
) -> None:
    checkpoint = tmp_path / "model.checkpoint.pt"
    run_until = Loop(checkpoint, "f")
    with pytest.raises(Stopped):
        run(run_until, stopping_after(run_until, 2), lr=0.1)
    said = r"test: the loss or the weights are not finite \((nan|inf)\) at step \d+; lower lr.*checkpoint\.pt"
    with pytest.raises(UserError, match=said) as raised:
        run(Loop(checkpoint, "f", every=every), lr=1e30, steps=400)
    assert "No checkpoint" not in str(raised.value)
    restored = Loop(checkpoint, "f").restore()
    assert restored is not None
    assert all(torch.isfinite(value).all() for value in restored["network"].values())


def test_a_checkpoint_never_holds_weights_that_are_not_finite(run: Run, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.checkpoint.pt"
    with pytest.raises(UserError, match="lower lr"):
        run(Loop(checkpoint, "f", every=0.0), lr=1e30, weight_decay=1e30)  # a finite loss, then an update that is not
    restored = Loop(checkpoint, "f").restore()
    assert restored is None or all(torch.isfinite(value).all() for value in restored["network"].values())


@pytest.mark.parametrize("changes", [{"lr": 1e38}, {"lr": 1e30, "weight_decay": 1e30}])
def test_the_last_update_is_checked_too(run: Run, changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"not finite \((nan|inf)\) at step 1; lower lr"):
        run(Loop(), steps=1, **changes)


def test_running_statistics_that_are_not_finite_are_refused(run: Run) -> None:
    def huge(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        return Lesson(x * 1e30, y, clean=x)  # their variance overflows, but batch norm makes the loss finite

    with pytest.raises(UserError, match=r"not finite \((nan|inf)\) at step 1; lower lr"):
        run(Loop(), huge, steps=1, lr=1e-12)


def test_a_training_that_diverges_before_any_checkpoint_says_so(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No checkpoint had been written yet"):
        run(Loop(tmp_path / "model.checkpoint.pt", "f"), lr=1e30, steps=400)


# ---- stopping and going on


@hypothesis.settings(max_examples=10)
@given(stops=st.lists(st.integers(1, 5), max_size=3))
def test_a_training_stopped_anywhere_goes_on_to_the_same_weights_and_history(
    run: Run, tmp_path_factory: pytest.TempPathFactory, stops: list[int]
) -> None:
    expected, weights = run(Loop()), run.weights()
    checkpoint = tmp_path_factory.mktemp("stops") / "model.checkpoint.pt"
    done = 0
    for steps in stops:
        if done + steps < STEPS:
            done += steps
            loop = Loop(checkpoint, "f")
            with pytest.raises(Stopped, match=f"asked to stop: state saved after step {done} of {STEPS}"):
                run(loop, stopping_after(loop, steps))
    found = run(Loop(checkpoint, "f"))
    assert found == expected
    assert same(run.weights(), weights)


def test_a_training_out_of_time_after_every_step_ends_the_same(run: Run, tmp_path: Path) -> None:
    expected, weights = run(Loop()), run.weights()
    checkpoint = tmp_path / "model.checkpoint.pt"
    for step in range(1, STEPS):
        with pytest.raises(Stopped, match=f"the job's time is up: state saved after step {step} of {STEPS}"):
            run(Loop(checkpoint, "f", deadline=time.monotonic()))
    assert run(Loop(checkpoint, "f", deadline=time.monotonic())) == expected  # the last step is not thrown away
    assert same(run.weights(), weights)


def test_a_killed_training_goes_on_from_its_last_checkpoint(run: Run, tmp_path: Path) -> None:
    expected, weights = run(Loop()), run.weights()
    checkpoint = tmp_path / "model.checkpoint.pt"
    calls = 0

    def dying(network: FrozenNetwork, x: Tensor, y: Tensor, rows: Tensor, draws: torch.Generator) -> Lesson:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise KeyboardInterrupt
        return attacked(network, x, y, rows, draws)

    with pytest.raises(KeyboardInterrupt):
        run(Loop(checkpoint, "f", every=0.0), dying)
    calls = 100
    assert run(Loop(checkpoint, "f"), dying) == expected
    assert calls == 100 + STEPS - 5
    assert same(run.weights(), weights)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_asks_the_loop_to_stop_and_is_given_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    loop = Loop()
    with stopping_on_signals(loop):
        os.kill(os.getpid(), number)
    assert loop.stop_requested
    assert signal.getsignal(number) is before
    with pytest.raises(Stopped, match="asked to stop"):
        loop.after(1, 2, dict, str)


def test_a_second_ctrl_c_does_not_wait_for_the_step_and_a_second_sigterm_does() -> None:
    with stopping_on_signals(Loop()):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # as Slurm does
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_closed_terminal_stops_no_loop_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    loop = Loop()
    try:
        with stopping_on_signals(loop):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not loop.stop_requested


def test_a_loop_saves_and_stops_when_the_process_it_works_for_is_gone(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    loop = Loop(tmp_path / "loop.pt", "f", every=1000, unwanted=why_unwanted(Process(sleeper.pid)))
    loop.after(1, 9, lambda: {"step": 1}, str)
    assert not (tmp_path / "loop.pt").exists()
    sleeper.kill()
    sleeper.wait()
    with pytest.raises(Stopped, match=rf"Snakemake \(process {sleeper.pid}\) is gone: state saved after step 2 of 9"):
        loop.after(2, 9, lambda: {"step": 2}, str)
    assert Loop(tmp_path / "loop.pt", "f").restore() == {"step": 2}


def test_the_time_of_earlier_runs_counts(tmp_path: Path) -> None:
    checkpoint = tmp_path / "loop.pt"
    first = Loop(checkpoint, "f", deadline=0, _started=time.monotonic() - 1000)
    with pytest.raises(Stopped):
        first.after(1, 2, lambda: {"step": 1}, str)
    second = Loop(checkpoint, "f")
    assert second.restore() == {"step": 1}
    assert 1000 <= second.seconds < 1100


def test_checkpoints_come_at_their_interval_and_go_when_done(tmp_path: Path) -> None:
    checkpoint = tmp_path / "loop.pt"
    Loop(checkpoint, "f", every=1000).after(1, 3, dict, str)
    assert not checkpoint.exists()
    loop = Loop(checkpoint, "f", every=0)
    loop.after(1, 3, lambda: {"step": 1}, str)
    assert checkpoint.is_file()
    loop.done()
    loop.done()
    assert not checkpoint.exists()


def test_a_loop_without_a_checkpoint_stops_as_well() -> None:
    assert Loop().restore() is None
    with pytest.raises(Stopped):
        Loop(deadline=0).after(1, 2, dict, str)


# ---- checkpoints that do not fit


def stopped_checkpoint(run: Run, path: Path, fingerprint: str) -> None:
    loop = Loop(path, fingerprint)
    with pytest.raises(Stopped):
        run(loop, stopping_after(loop, 5))


def test_a_checkpoint_of_anything_else_is_ignored_with_a_warning(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tmp_path / "model.checkpoint.pt"
    stopped_checkpoint(run, checkpoint, "other settings")
    expected = run(Loop())
    with caplog.at_level(logging.WARNING):
        assert Loop(checkpoint, "these settings").restore() is None
        assert run(Loop(checkpoint, "these settings")) == expected
    assert "other settings, code or inputs; ignored" in caplog.text


def test_what_a_killed_run_left_of_a_checkpoint_is_removed_at_the_end(tmp_path: Path) -> None:
    (tmp_path / ".model.checkpoint.pt.123.part").write_bytes(b"half")
    Loop(tmp_path / "model.checkpoint.pt").done()
    assert list(tmp_path.iterdir()) == []


def test_no_flipped_bit_in_a_checkpoint_goes_unnoticed(run: Run, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.checkpoint.pt"
    stopped_checkpoint(run, checkpoint, "f")
    content = bytearray(checkpoint.read_bytes())
    whole = Loop(checkpoint, "f").restore()
    assert whole is not None
    ignored = 0
    for place in range(11, len(content), len(content) // 60):
        damaged = content.copy()
        damaged[place] ^= 4
        checkpoint.write_bytes(damaged)
        found = Loop(checkpoint, "f").restore()
        ignored += found is None
        assert found is None or same(found["network"], whole["network"])  # a date or the padding may differ
    assert ignored > 30


@pytest.mark.parametrize(
    "damage",
    ["empty", "garbage", "truncated", "bytes in the middle", "another compression", "not a dict", "no fingerprint"],
)
def test_a_damaged_checkpoint_is_ignored_with_a_warning(
    damage: str, run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = tmp_path / "model.checkpoint.pt"
    stopped_checkpoint(run, checkpoint, "f")
    content = checkpoint.read_bytes()
    half = len(content) // 2
    method = content.rindex(b"PK\x01\x02") + 10  # of compression, in the archive's last entry
    if damage == "not a dict":
        torch.save([1, 2], checkpoint)
    elif damage == "no fingerprint":
        torch.save({"state": {}, "seconds": 0.0}, checkpoint)
    else:
        damaged = {
            "empty": b"",
            "garbage": b"garbage",
            "truncated": content[:half],
            "bytes in the middle": content[:half] + bytes(range(64)) + content[half + 64 :],
            "another compression": content[:method] + b"\x08" + content[method + 1 :],
        }
        checkpoint.write_bytes(damaged[damage])
    expected, weights = run(Loop()), run.weights()
    with caplog.at_level(logging.WARNING):
        assert run(Loop(checkpoint, "f")) == expected
    assert "unreadable checkpoint" in caplog.text
    assert same(run.weights(), weights)


def test_a_checkpoint_is_never_unpickled_into_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = tmp_path / "model.checkpoint.pt"
    torch.save({"fingerprint": "f", "seconds": 0.0, "state": Loop()}, checkpoint)
    assert Loop(checkpoint, "f").restore() is None
    assert "unreadable checkpoint" in caplog.text
