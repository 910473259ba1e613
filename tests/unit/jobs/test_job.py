"""What every script does around its work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import atexit, gc
from types import SimpleNamespace

from unlearnable.jobs.job import job

atexit.register(lambda: print(gc.get_freeze_count()))  # after what the job registers
with job(SimpleNamespace(rule="noise", log=[])):
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
with job(SimpleNamespace(rule="noise", log=[])):
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
