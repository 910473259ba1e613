"""What a job says of its progress, and when."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearnable.progress import Meter, passing, seconds_left, span
from unlearnable.training.loop import Loop


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets the time be moved on by so many seconds."""
    now = [5.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "unlearnable")
    return caplog


def test_a_loop_says_step_loss_speed_time_left_and_device(
    clock: Callable[[float], None], said: pytest.LogCaptureFixture
) -> None:
    loop = Loop(device="cuda:0 NVIDIA H100", images=128)
    for step in (1, 2):
        loop.after(step, 500, dict, lambda: "loss 1.23")
        clock(2)
    assert said.messages == [
        "step 1/500, loss 1.23, cuda:0 NVIDIA H100",
        "step 2/500, loss 1.23, 64 images/s, 16 min 36 s left, cuda:0 NVIDIA H100",
    ]


def test_what_an_earlier_run_did_and_what_comes_before_the_first_step_is_no_speed(
    clock: Callable[[float], None], said: pytest.LogCaptureFixture
) -> None:
    loop = Loop(device="cpu", images=10)
    clock(1000)  # compiling, for example
    for step in (401, 402, 403):
        loop.after(step, 500, dict, str)
        clock(1)
    assert said.messages[-1] == "step 403/500, 10 images/s, 1 min 37 s left, cpu"


def test_lines_come_at_once_soon_again_and_then_every_ten_seconds(
    clock: Callable[[float], None], said: pytest.LogCaptureFixture
) -> None:
    meter = Meter("step", 1000, 0, "cpu")
    for step in range(1, 600):
        meter.at(step, str)
        clock(0.1)
    lines = [int(line.split("/")[0].removeprefix("step ")) for line in said.messages]
    assert lines[0] == 1
    assert lines[1] <= 12
    assert max(late - early for early, late in itertools.pairwise(lines)) <= 101
    assert len(lines) < 12


def test_the_end_is_always_said(clock: Callable[[float], None], said: pytest.LogCaptureFixture) -> None:
    list(passing([[0] * 30, [0] * 30, [0] * 4], 64, "joined"))
    assert said.messages == ["image 30/64, joined, cpu", "image 64/64, joined, cpu"]


def test_the_report_is_made_only_to_be_said(clock: Callable[[float], None], said: pytest.LogCaptureFixture) -> None:
    reports = []
    meter = Meter("step", 100, 1, "cpu")
    for step in range(1, 50):
        meter.at(step, lambda: reports.append(1) or "")  # type: ignore[func-returns-value]
    assert len(reports) == len(said.messages) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.6, "1 min 0 s"), (754, "12 min 34 s"), (11_130, "3 h 5 min"), (200_000, "2 d 7 h")],
)
def test_a_time_is_said_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


@given(st.integers(0, 10**7))
def test_the_time_left_is_read_from_the_line_that_says_it(seconds: int) -> None:
    read = seconds_left(f"10:00:00 step 1/2, loss 0.3, 12 images/s, {span(seconds)} left, cpu")
    assert read is not None
    assert seconds - 3600 < read <= seconds
    assert seconds >= 3600 or read == seconds


def test_a_line_that_does_not_say_a_time_left_gives_none() -> None:
    assert seconds_left("10:00:00 computing on cpu, what is left") is None
