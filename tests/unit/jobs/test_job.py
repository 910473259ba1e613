"""What every script does around its work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from unlearnable.errors import UserError
from unlearnable.jobs.long_job import compute

ROOT = Path(__file__).parents[3]
SCRIPT = """
import atexit, gc
from types import SimpleNamespace

from unlearnable.jobs.job import job

atexit.register(lambda: print(gc.get_freeze_count()))  # after what the job registers
with job(SimpleNamespace(rule="noise", log=[], input=[], params=SimpleNamespace(recipe={"inputs": {}}))):
    print(gc.get_freeze_count())
"""


WORK = """
import atexit, sys, threading, time
from types import SimpleNamespace

{before}
from unlearnable.errors import Stopped, UserError
from unlearnable.jobs.job import job

class Kept:
    def __del__(self):
        print("taken apart")

kept = Kept()
atexit.register(print, "at exit", end="")
threading.Thread(target=lambda: time.sleep(0.1) or print("thread")).start()
with job(SimpleNamespace(rule="noise", log=[], input=[], params=SimpleNamespace(recipe={{"inputs": {{}}}}))):
    {work}
print("after")
"""


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "UNLEARNABLE_SNAKEMAKE"}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_end_of_a_job_is_left_to_the_system(tmp_path: Path) -> None:
    """To take all that torch consists of apart piece by piece takes half a second a job."""
    done = run(SCRIPT, tmp_path)
    assert done.returncode == 0
    during, after = map(int, done.stdout.split())
    assert during == 0
    assert after > 10_000


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [
        ("pass", 0, ""),
        ("raise UserError('no such file')", 1, "ERROR in rule noise: no such file"),
        ("raise ValueError('a fault')", 1, "ValueError: a fault"),
        ("raise Stopped('state saved')", 75, "STOPPED rule noise: state saved"),
        ("raise KeyboardInterrupt", 75, "STOPPED rule noise: interrupted; nothing since its last checkpoint was saved"),
    ],
)
def test_a_job_does_what_is_due_at_its_end_and_nothing_after_it(
    tmp_path: Path, work: str, code: int, said: str
) -> None:
    done = run(WORK.format(before="", work=work), tmp_path)
    assert (done.returncode, done.stdout) == (code, "thread\nat exit")
    assert done.stderr.endswith(f"{said}\n" if said else "")
    assert said or done.stderr == ""


def test_no_library_complains_of_what_a_job_leaves(tmp_path: Path) -> None:
    done = run(WORK.format(before="import torchvision", work="pass"), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "thread\nat exit", "")


JOB = """
import errno, os
from types import SimpleNamespace

from unlearnable.errors import UserError
from unlearnable.jobs.job import job

nothing = SimpleNamespace(recipe={"inputs": {}})
with job(SimpleNamespace(rule="noise", log=["noise.log"], input=[], params=nothing)):
    BODY
"""


def ended(folder: Path, body: str) -> tuple[str, str]:
    """What a job that fails prints, and its log."""
    environment = {name: value for name, value in os.environ.items() if name != "UNLEARNABLE_SNAKEMAKE"}
    done = subprocess.run(
        [sys.executable, "-c", JOB.replace("BODY", body)],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT / "workflow")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1, done.stderr
    log = folder / "noise.log"
    return done.stderr, log.read_text() if log.exists() else ""


def test_names_in_a_message_can_be_written_and_are_not_obeyed_by_a_terminal(tmp_path: Path) -> None:
    name = r"'\udcff\x1b[2J\nERROR in rule x: nothing \u202e.png'"
    printed, log = ended(tmp_path, f"raise UserError({name} + ': damaged')")
    (line,) = printed.splitlines()
    assert line.endswith(r" ERROR in rule noise: \xff\x1b[2J\nERROR in rule x: nothing \u202e.png: damaged")
    assert log == printed


PREPARE = """
    from pathlib import Path
    from unlearnable.registry import validated
    from unlearnable.stages.dataset import prepare

    settings = {"kind": "folder", "root": "set", "image_size": 8, "classes": ["cat", "dog"]}
    prepare(validated("readers", settings), *map(Path, [".", "train", "test", "manifest.json", "download"]))
"""


def test_a_damaged_image_whose_name_is_not_utf8_is_named_in_the_log(tmp_path: Path) -> None:
    for name in (b"cat/\xff.png", b"cat/0.png", b"dog/\xe9.png", b"dog/0.png"):
        path = tmp_path / "set" / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(b"no image")
        except OSError:
            pytest.skip("this file system takes names in UTF-8 only")
    printed, log = ended(tmp_path, PREPARE.strip())
    assert "Logging error" not in printed
    assert r"set/cat/\xff.png" in log
    assert r"set/dog/\xe9.png" in log


def test_a_traceback_keeps_its_lines(tmp_path: Path) -> None:
    printed, log = ended(tmp_path, r"raise ValueError('\udcff\x1b[2J')")
    assert printed.splitlines()[-1] == r"ValueError: \xff\x1b[2J"
    assert "Traceback (most recent call last):" in printed.splitlines()
    assert log == printed


@pytest.mark.parametrize(
    ("number", "why"), [("EIO", "the disk or its connection fails"), ("EROFS", "the disk is mounted read-only")]
)
def test_an_error_of_the_disk_is_one_line_with_the_file(tmp_path: Path, number: str, why: str) -> None:
    printed, log = ended(tmp_path, f"raise OSError(errno.{number}, 'as the system says', 'some/file')")
    (line,) = printed.splitlines()
    assert f"ERROR in rule noise: some/file: {why}" in line
    assert log == printed


def test_other_errors_of_the_system_keep_their_traceback(tmp_path: Path) -> None:
    assert "FileNotFoundError" in ended(tmp_path, "os.stat('missing')")[0].splitlines()[-1]


def test_a_folder_in_the_place_of_the_file_that_tells_what_runs_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".snakemake/running").mkdir(parents=True)
    (line,) = ended(tmp_path, "raise AssertionError('it started')")[0].splitlines()
    assert "ERROR in rule noise: .snakemake/running: cannot be used to find out what runs here (" in line


@pytest.mark.parametrize("text", ["abc", "", "nan", "inf", "1e400", "-1"])
def test_an_end_by_slurm_that_is_not_a_time_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SLURM_JOB_END_TIME", text)
    with (
        pytest.raises(UserError, match=f"^SLURM_JOB_END_TIME={text}: not a time in seconds since 1970"),
        compute(snakemake(tmp_path)),
    ):
        pass


@pytest.mark.parametrize(("left", "expected"), [(100, 40), (10_000, 540)])
def test_the_job_stops_before_slurm_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int, expected: int
) -> None:
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + left))
    with compute(snakemake(tmp_path)) as (loop, _):
        assert loop.deadline is not None
        assert loop.deadline - time.monotonic() == pytest.approx(expected, abs=5)


def snakemake(folder: Path) -> Any:
    """What Snakemake gives to the script of a job on the CPU that may take ten minutes."""

    class Resources(dict[str, Any]):
        device = "cpu"
        checkpoint_seconds = 60

    return SimpleNamespace(
        rule="victim",
        threads=1,
        wildcards={},
        resources=Resources(gpu=0, runtime=10),
        output=[str(folder / "model.safetensors")],
        params=SimpleNamespace(recipe={"settings": {}, "code": ""}),
    )
