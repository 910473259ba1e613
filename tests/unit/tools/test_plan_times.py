"""What a study would take: the time of its jobs, and how all of a plan is printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from unlearnable import files
from unlearnable.datasets.size import Size
from unlearnable.noises.ntga.cost import KernelWork
from unlearnable.tools.plan import report
from unlearnable.tools.plan.calibration import Speed
from unlearnable.tools.plan.publishing import PublishingWork
from unlearnable.tools.plan.tasks import Task
from unlearnable.tools.plan.text import bytes_text, count, duration
from unlearnable.tools.plan.times import Times, compare_times, finished_jobs, kinds_of, rates
from unlearnable.training.work import Amount, NetworkWork

SHAPE = (3, 32, 32)
STEP = NetworkWork("step", "small-cnn", "cifar", SHAPE, 10, "auto", 128)
GRADIENT = NetworkWork("gradient", "small-cnn", "cifar", SHAPE, 10, "auto", 128)
TIMES = Times({STEP: Speed(0.5, 128), GRADIENT: Speed(0.25, 128)}, {("lsp noise", "d"): 2.0})


def test_a_job_takes_the_sum_of_its_work() -> None:
    assert TIMES.of(Task("victim", False, 0, amounts=[Amount(STEP, 10, 1), Amount(GRADIENT, 20, 1)])) == 10.0


def test_a_job_of_work_that_was_not_timed_has_no_time() -> None:
    assert TIMES.of(Task("perturbed dataset", False, 0, amounts=[Amount(PublishingWork(SHAPE), 1)])) is None
    assert TIMES.of(Task("noise", False, 0, like=("ops noise", "d"), rows=5)) is None


def test_work_of_which_there_is_none_needs_no_time() -> None:
    assert TIMES.of(Task("victim", False, 0, amounts=[Amount(STEP, 2), Amount(PublishingWork(SHAPE), 0)])) == 1.0


def test_a_noise_without_a_network_takes_what_finished_ones_took() -> None:
    assert TIMES.of(Task("noise", False, 0, like=("lsp noise", "d"), rows=5)) == 10.0


def test_kinds_of_jobs_to_do_come_first_and_of_them_what_nothing_else_tells() -> None:
    publishing = PublishingWork(SHAPE)
    tasks = [
        Task("victim", True, 0, amounts=[Amount(GRADIENT, 10**9)]),
        Task("victim", False, 0, amounts=[Amount(STEP, 10**6)]),
        Task("perturbed dataset", False, 0, amounts=[Amount(publishing, 1)]),
        Task("noise", False, 0, amounts=[Amount(KernelWork(SHAPE, 10, 1, 1, "relu"), 0)]),  # nothing of it
    ]
    assert kinds_of(tasks) == [publishing, STEP, GRADIENT]


@pytest.fixture
def finished(tmp_path: Path) -> list[tuple[Task, dict[str, Any]]]:
    """Jobs and their records: two victims here, one elsewhere, a noise without a network, one job not done."""
    work = [Amount(STEP, 10, 1)]  # estimated at 5 seconds
    tasks = []
    for number, (seconds, device) in enumerate([(5.0, "here"), (15.0, "here"), (1.0, "elsewhere")]):
        files.write_json(tmp_path / f"{number}.json", {"seconds": seconds, "device": device})
        tasks.append(Task("victim", True, 0, f"{number}.json", work))
    for name, device in (("near", "here"), ("far", "elsewhere")):
        files.write_json(tmp_path / f"{name}.json", {"seconds": 6.0, "device": device})
        tasks.append(Task("noise", True, 0, f"{name}.json", like=("ops noise", "d"), rows=3))
    tasks += [Task("victim", False, 0, "0.json", work), Task("victim", True, 0, "lost.json", work)]
    return finished_jobs(tasks, tmp_path)


def test_only_finished_jobs_of_this_device_are_compared(finished: list[tuple[Task, dict[str, Any]]]) -> None:
    (victims,) = compare_times(finished, TIMES, "here")
    assert (victims.stage, victims.seconds, victims.ratios) == ("victim", [5.0, 15.0], [1.0, 3.0])
    assert compare_times(finished, TIMES, "nowhere") == []


def test_rates_are_those_of_this_device(finished: list[tuple[Task, dict[str, Any]]]) -> None:
    assert rates(finished, "here") == {("ops noise", "d"): 2.0}


# ---- what is printed


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (600, "10 min"), (12_240, "3.4 h"), (4_442_400, "1,234 h")]
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (3.4e9, "3.4 GB"), (1.234e12, "1,234 GB")],
)
def test_bytes_are_readable(number: float, text: str) -> None:
    assert bytes_text(number) == text
    assert count(1234567) == "1,234,567"


def cells(text: str, first: str) -> list[str]:
    """The cells of the row of a table that begins with ``first``."""
    (line,) = [line for line in text.splitlines() if line.startswith(first)]
    return re.split(r" {2,}", line.strip())[1:]


WORK = [
    Task("victim", True, 100, amounts=[Amount(STEP, 128, 1)]),
    Task("victim", False, 100, amounts=[Amount(STEP, 7200, 4)]),
    Task("noise", False, 3000, amounts=[Amount(GRADIENT, 7200, 2)], like=("em noise", "d")),
    Task("noise", False, 500, like=("ops noise", "d"), rows=4, besides=None),
]


def test_the_table_of_passes_sums_by_stage() -> None:
    text = report.of_passes(WORK, {"d": Size(50_000, 10_000, "official size")})
    assert cells(text, "victim") == ["5", "1", "4"]
    assert cells(text, "in all") == ["7", "1", "6"]
    assert "d: 50,000 training and 10,000 test images (official size)." in text


def test_the_table_of_jobs_sums_by_rule() -> None:
    text = report.of_jobs([("noise", 2000, 500), ("victim", 10, 0)])
    assert cells(text, "noise") == ["2,000", "500", "1,500"]
    assert cells(text, "in all") == ["2,010", "500", "1,510"]


def test_the_table_of_times_adds_what_is_to_do_and_says_what_it_lacks() -> None:
    text = report.of_times(WORK, 5, TIMES, report.Machine("cpu", gpus=0, cores=4, start_up=3600))
    assert cells(text, "victim") == ["1", "core", "60 min", "60 min"]
    assert cells(text, "noise") == ["2", "core", "30 min + ?", "2.0 h"]
    assert cells(text, "others") == ["2", "core", "?", "2.0 h"]
    assert "In all: 6.5 h of one core." in text
    assert "On the clock: 2 h" not in text
    assert "On the clock: 1.6 h" in text  # 6.5 h by 4 at a time
    assert "NOT estimated: ops noise (1 jobs)." in text


@pytest.mark.parametrize(("start_up", "long"), [(3600, False), (36_000, True)])
def test_a_study_of_over_a_day_is_called_one_and_told_of_the_preset(start_up: float, long: bool) -> None:
    text = report.of_times(WORK, 5, TIMES, report.Machine("cpu", gpus=0, cores=2, start_up=start_up))
    assert ("over a day" in text) == long
    assert ("--preset cpu" in text) == long


def test_networks_take_gpus_where_there_are_some_and_the_rest_takes_cores() -> None:
    text = report.of_times(WORK, 5, TIMES, report.Machine("GPU", gpus=2, cores=4, start_up=3600))
    assert cells(text, "victim")[1] == "GPU"
    assert "In all: 4.5 h of one GPU and 2.0 h of one core." in text
    assert "On the clock: 2.8 h" in text  # 4.5 h on 2 GPUs and 2 h on 4 cores


def test_what_was_not_timed_in_full_is_said() -> None:
    speeds: dict[Any, Speed] = {STEP: Speed(1, 128), GRADIENT: Speed(1, 2), PublishingWork(SHAPE): Speed(1, 0)}
    text = report.of_times(WORK, 3, Times(speeds, {}), report.Machine("cpu", 0, 1, 0), ["too little memory"])
    assert "2 kinds of work were timed for a moment, uncompiled; 1 of them with a smaller batch" in text
    assert "1 more were reckoned from their operations" in text
    assert "WARNING: jobs will be refused: too little memory." in text


def test_nothing_to_do_takes_no_time() -> None:
    assert report.of_times(WORK[:1], 0, TIMES, report.Machine("cpu", 0, 1, 5)) == "Time: nothing is to do."


def test_the_table_of_space_sums_what_is_to_be_written_and_warns_where_it_does_not_fit() -> None:
    text = report.of_space(WORK, 4000, ["d"])
    assert cells(text, "noise") == ["3.5 kB"]
    assert cells(text, "in all") == ["3.6 kB"]
    assert "PNGs are taken to be as large as their pixels, as none are there yet: d." in text
    assert "WARNING" not in text
    assert "NOT in the sums: downloaded archives, and the copy of its training images" in text
    assert "WARNING: 600 B more than there is." in report.of_space(WORK, 3000, [])


def test_how_far_off_is_told_by_median_and_range(finished: list[tuple[Task, dict[str, Any]]]) -> None:
    text = report.of_comparisons(compare_times(finished, TIMES, "here"))
    assert cells(text, "victim") == ["2", "10 s", "2.00", "1.00 to 3.00"]
    assert "no finished jobs" in report.of_comparisons([])
