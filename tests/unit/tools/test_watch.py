"""The overview of a run from its record."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from unlearnable.errors import UserError
from unlearnable.jobs.leases import Lease
from unlearnable.jobs.presence import RECORD, snakemake_running
from unlearnable.tools.watch.estimate import Estimate, estimate
from unlearnable.tools.watch.record import Recorder
from unlearnable.tools.watch.run import Reader, Run
from unlearnable.tools.watch.screen import overview
from unlearnable.tools.watch.tail import AT_MOST, last_lines

from ..irregular import KINDS, PATIENCE, irregular

Entry = dict[str, Any]


def start(number: int, at: float, rule: str = "noise", **more: Any) -> Entry:
    entry = {"event": "start", "at": at, "id": number, "rule": rule, "what": f"{rule} {number}", "log": f"{number}.log"}
    return entry | {"stale": None} | more


def end(number: int, at: float, event: str = "done") -> Entry:
    return {"event": event, "at": at, "id": number}


def run(*entries: Entry, **jobs: int) -> Run:
    """A run that began at 0 with so many jobs of each rule."""
    begun = Run(0.0, jobs)
    for entry in entries:
        begun.take(entry)
    return begun


def written(folder: Path, *entries: Entry, tail: str = "") -> Path:
    path = folder / RECORD
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + tail)
    return path


BEGIN = {"event": "run", "at": 0.0, "jobs": {"noise": 3}}


# ---- how long it takes


def test_nothing_is_known_of_a_run_that_has_not_finished_a_job(tmp_path: Path) -> None:
    assert estimate(run(noise=4), tmp_path, 5.0) == Estimate(None, 4)
    assert estimate(run(start(1, 0.0), noise=4), tmp_path, 5.0) == Estimate(None, 4)


def test_jobs_take_as_long_as_those_of_their_rule_that_are_done(tmp_path: Path) -> None:
    one_after_another = run(start(1, 0.0), end(1, 10.0), start(2, 10.0), end(2, 30.0), start(3, 30.0), noise=5)
    assert estimate(one_after_another, tmp_path, 35.0).seconds == pytest.approx(10 + 2 * 15)


def test_what_is_left_is_shared_by_as_many_as_ran_at_a_time(tmp_path: Path) -> None:
    entries = [entry for number in range(4) for entry in (start(number, 0.0), end(number, 10.0))]
    assert estimate(run(*entries, noise=12), tmp_path, 10.0).seconds == pytest.approx(20.0)


def test_a_job_that_runs_tells_how_long_it_takes(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_text("10:00:00 step 1/9, 12 images/s, 1 min 40 s left, cpu\n")
    assert estimate(run(start(1, 0.0), noise=3), tmp_path, 50.0).seconds == pytest.approx(100 + 2 * 150)


def test_a_run_takes_at_least_as_long_as_the_longest_of_its_jobs(tmp_path: Path) -> None:
    (tmp_path / "1.log").write_text("10:00:00 step 1/9, 12 images/s, 30 s left, cpu\n")
    (tmp_path / "2.log").write_text("10:00:00 step 1/9, 12 images/s, 1 s left, cpu\n")
    assert estimate(run(start(1, 0.0), start(2, 0.0), noise=2), tmp_path, 1.0).seconds == pytest.approx(30.0)


def test_rules_of_which_nothing_is_done_are_left_out_and_counted(tmp_path: Path) -> None:
    half = run(start(1, 0.0), end(1, 10.0), noise=2, victim=7)
    assert estimate(half, tmp_path, 10.0) == Estimate(10.0, 7)


def test_jobs_that_failed_take_no_more_time_and_those_that_wait_for_another_attempt_do(tmp_path: Path) -> None:
    entries = [start(1, 0.0), end(1, 10.0), start(2, 10.0), end(2, 20.0, "error")]
    assert estimate(run(*entries, noise=2), tmp_path, 20.0).seconds == 0.0
    assert estimate(run(*entries, end(2, 20.0, "again"), noise=2), tmp_path, 20.0).seconds == pytest.approx(10.0)


# ---- the record


def test_an_attempt_after_a_failed_one_counts_alone() -> None:
    again = run(start(1, 0.0), end(1, 1.0, "error"), end(1, 1.0, "again"), start(1, 2.0), end(1, 9.0), noise=1)
    assert (again.counts("done")["noise"], again.in_state("failed")) == (1, [])
    assert again.jobs[1].began == 2.0


def test_a_job_that_failed_without_a_word_and_waits_takes_no_more_time() -> None:
    waiting = run(start(1, 0.0), end(1, 7.0, "again"), noise=1)
    assert (waiting.jobs[1].state, waiting.jobs[1].ended) == ("waiting", 7.0)


class Failed:
    """A job of Snakemake's that failed."""

    jobid = 2


class Workflow:
    """What the recorder needs of Snakemake's workflow."""

    dryrun = False

    class scheduler:  # noqa: N801 - as it is called there
        print_progress = False
        failed = (Failed,)

    class get_rule:  # noqa: N801 - as it is called there
        restart_times = 1

        def __init__(self, name: str) -> None: ...


def event(name: str, **about: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"event": name, "msg": "", **about})


def job_info(number: int, log: str) -> logging.LogRecord:
    return event("job_info", jobid=number, rule_name="noise", rule_msg="", wildcards={}, log=[log])


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    """The recorder of a run that has begun in the temporary folder."""
    (tmp_path / RECORD).parent.mkdir()
    recorder = Recorder(logging.getLogger("a run"), Workflow, tmp_path / RECORD)
    recorder.emit(event("run_info", stats={"noise": 2, "total": 2}))
    yield recorder
    recorder.close()


def test_a_job_whose_output_was_missing_afterwards_is_recorded_as_failed(recorder: Recorder, tmp_path: Path) -> None:
    for number in (1, 2):
        recorder.emit(job_info(number, f"{number}.log"))
    recorder.emit(event("job_finished", job_id=1))
    recorder.close()
    found = Reader(tmp_path).look()
    assert found is not None
    assert {number: job.state for number, job in found.jobs.items()} == {1: "done", 2: "failed"}


def events(folder: Path) -> list[str]:
    """The events of the record of a folder."""
    return [json.loads(line)["event"] for line in (folder / RECORD).read_text().splitlines()]


def test_a_failed_job_waits_for_another_attempt_as_long_as_its_rule_has_some(
    recorder: Recorder, tmp_path: Path
) -> None:
    for _ in range(2):
        recorder.emit(job_info(1, "1.log"))
        recorder.emit(event("job_error", jobid=1, rule_name="noise", log=[]))
    recorder.close()
    assert events(tmp_path) == ["run", "start", "error", "again", "start", "error", "end"]


def test_an_attempt_whose_failure_no_event_told_ends_with_the_next_one(recorder: Recorder, tmp_path: Path) -> None:
    for _ in range(2):
        recorder.emit(job_info(1, "1.log"))
    recorder.emit(event("job_finished", job_id=1))
    assert events(tmp_path) == ["run", "start", "again", "start", "done"]


def test_a_record_that_cannot_be_written_still_tells_that_snakemake_lives(
    recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert recorder._file is not None
    number = recorder._file.fileno()
    with open("/dev/full", "w") as full:
        kept = os.dup(number)
        os.dup2(full.fileno(), number)
        recorder.emit(job_info(1, "1.log"))
    if recorder._file is not None:
        os.dup2(kept, number)
    os.close(kept)
    assert "`make watch` does not see this run" in caplog.text
    assert snakemake_running(tmp_path)


def test_a_log_in_a_storage_is_not_looked_for_here(recorder: Recorder, tmp_path: Path) -> None:
    recorder.emit(job_info(1, "s3://bucket/logs/noise.log (send to storage)"))
    lines = overview(Reader(tmp_path), list, 1e10)
    assert "    its log is not on this machine" in lines


def test_half_a_line_waits_for_its_other_half(tmp_path: Path) -> None:
    whole = json.dumps(start(1, 1.0))
    path = written(tmp_path, BEGIN, tail=whole[:20])
    reader = Reader(tmp_path)
    first = reader.look()
    assert first is not None
    assert first.jobs == {}
    with open(path, "a") as file:
        file.write(whole[20:] + "\n")
    second = reader.look()
    assert second is not None
    assert list(second.jobs) == [1]


def test_a_line_that_a_full_disk_cut_off_is_passed_over(tmp_path: Path) -> None:
    written(tmp_path, BEGIN, tail='{"event": "st\n' + json.dumps(start(2, 1.0)) + "\n")
    found = Reader(tmp_path).look()
    assert found is not None
    assert list(found.jobs) == [2]


def test_the_next_run_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    written(tmp_path, BEGIN, start(1, 1.0), end(1, 2.0))
    reader = Reader(tmp_path)
    reader.look()
    written(tmp_path, BEGIN | {"at": 100.0, "jobs": {"victim": 1}})
    found = reader.look()
    assert found is not None
    assert (found.began, found.planned, found.jobs) == (100.0, {"victim": 1}, {})


def test_what_an_earlier_attempt_logged_is_not_shown(tmp_path: Path) -> None:
    log = tmp_path / "1.log"
    log.write_text("an earlier attempt\n")
    job = run(start(1, 1.0, stale=log.stat().st_mtime_ns), noise=1).jobs[1]
    assert job.lines(tmp_path, 1) == []
    log.write_text("this attempt\n")
    os.utime(log, ns=(1, 1))  # whatever the clocks of two machines say
    assert job.lines(tmp_path, 1) == ["this attempt"]


# ---- the end of a log


def test_the_last_lines_of_a_long_log_are_read_without_the_rest(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("\n".join(f"line {number}" for number in range(AT_MOST)) + "\n\n")
    assert last_lines(tmp_path / "log", 2) == [f"line {AT_MOST - 2}", f"line {AT_MOST - 1}"]


def test_what_is_no_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\x1b[2J\xff\x00 fine\there\n")
    (line,) = last_lines(tmp_path / "log", 1)
    assert line.isprintable()
    assert line.split()[-2:] == ["fine", "here"]


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "log", 3) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_is_no_file_has_no_lines(tmp_path: Path, kind: str) -> None:
    began = time.monotonic()
    with irregular(tmp_path / "log", kind):
        assert last_lines(tmp_path / "log", 3) == []
    assert time.monotonic() - began < PATIENCE


# ---- the text


def test_a_long_list_is_cut_and_says_so(tmp_path: Path) -> None:
    written(tmp_path, BEGIN | {"jobs": {"noise": 30}}, *(start(number, 1.0) for number in range(30)))
    text = overview(Reader(tmp_path), list, 10.0)
    assert "  and 20 more" in text


def test_devices_are_shown_while_jobs_run_with_who_holds_them(tmp_path: Path) -> None:
    path = written(tmp_path, BEGIN, start(1, 1.0))
    leases = [Lease("GPU-a", held=False), Lease("GPU-b", True, 7, "noise seed=0")]
    assert "GPUs" not in "\n".join(overview(Reader(tmp_path), lambda: leases, 10.0))
    with open(path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as the Snakemake process that writes it
        text = "\n".join(overview(Reader(tmp_path), lambda: leases, 10.0))
        assert "GPUs of this machine: 1 of 2 held\n" in text
        assert "  GPU-b is held by process 7 (noise seed=0)\n  GPU-a is free" in text
        assert "noise seed=0" in text

        def hanging() -> list[Lease]:
            raise UserError("nvidia-smi does not answer")

        assert overview(Reader(tmp_path), hanging, 10.0)[-1] == "GPUs of this machine: nvidia-smi does not answer"


def test_no_name_is_obeyed_by_the_terminal(tmp_path: Path) -> None:
    written(tmp_path, BEGIN, start(1, 1.0, what="\x1b[2Jnoise \udcff\nof 1", log="\x1b.log"), end(1, 2.0, "error"))
    (tmp_path / "\x1b.log").write_text("\x1b]0;title\x07 failed\n")
    lines = overview(Reader(tmp_path), list, 10.0)
    assert r"  \x1b[2Jnoise \xff\nof 1" in lines
    assert r"    \x1b]0;title\x07 failed" in lines
    assert all(line.isprintable() for line in lines)


def test_a_log_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    assert last_lines(tmp_path / "log", 3) == []


@pytest.mark.parametrize("plant", [Path.mkdir, os.mkfifo])
def test_what_is_in_the_place_of_the_record_is_named(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    (tmp_path / RECORD).parent.mkdir()
    plant(tmp_path / RECORD)
    with pytest.raises(UserError, match=r"record\.jsonl: not a plain file; remove it, and the next run writes it"):
        Reader(tmp_path).look()
