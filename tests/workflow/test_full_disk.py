"""A disk that fills up under each stage: one line says so, nothing is half written, and the same command resumes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from unlearnable.tools import verify

from .pipeline import Config, Project, unshared

MOUNTING = ("--mount", "--map-root-user")
pytestmark = pytest.mark.skipif(
    unshared(*MOUNTING) is None, reason="mounting a small disk (unshare, mount) is not permitted"
)

# Products that depend on clean images alone, so that the other methods' stages can fail beside them.
OTHER: Config = {
    "experiments": {
        "other": {
            "datasets": ["tiny"],
            "noises": [{"method": "clean"}],
            "victims": [{"networks": ["small-cnn"], "radii": [4]}],
            "seeds": [0],
            "products": ["accuracy-table", "training-curves"],
        }
    }
}


@dataclass(frozen=True)
class Case:
    """A job that does not get through: each its own method's, so that none waits for another.

    Attributes:
        rule: whose job it is.
        folder: where the small disk is mounted.
        room: of that disk, in KiB, besides what is there already.
        target: what the job is asked for, in that folder.
        removed: what is missing of the finished study, so that the job has to run.
        full: the file that does not fit.
        left: what must be left of the job in the folder.
    """

    rule: str
    folder: str
    room: int
    target: str
    removed: tuple[str, ...]
    full: str
    left: frozenset[str] = frozenset()


MODEL = 4 * -(-136_580 // 4096)  # KiB, of a network's weights
TRAINED = ("model.safetensors", "history.parquet", "metrics.json")
VICTIM = "results/victim/tiny/rem/u16-a4/p50/small-cnn"
CASES = {
    "source_model": Case(
        "source_model", "results/source_model/tiny/em/u16-a0/s0", MODEL + 4, TRAINED[0], TRAINED, "metrics.json"
    ),
    "noise": Case(
        "noise",
        "results/noise/tiny/tap/u16-a0/s0/shards",
        4,
        "0-of-1.npy",
        ("0-of-1.npy", "0-of-1.json"),
        "0-of-1.npy",
        frozenset({".0-of-1.npy.part"}),  # what a job that had saved a checkpoint would go on with
    ),
    "merge": Case(
        "merge_noise",
        "results/noise/tiny/sem/u16-a4/s0",
        8,
        "noise.npy",
        ("noise.npy", "manifest.json", "metrics.json"),
        "manifest.json",
        frozenset({"shards/0-of-1.npy", "shards/0-of-1.json"}),
    ),
    "perturbed": Case(
        "perturbed_dataset",
        "results/perturbed/tiny/clean/u0-a0/s0/p50",
        8,
        "manifest.json",
        ("manifest.json", "metrics.json", "parquet", "shards"),
        "parquet/train-00000-of-00001.parquet",
    ),
    "victim": Case("victim", f"{VICTIM}/none/r4/s0", MODEL, TRAINED[0], TRAINED, "history.parquet"),
    "victim, images": Case("victim", f"{VICTIM}/jpeg10/r0/s0", 4, TRAINED[0], TRAINED, ".model.images.npy"),
    "table": Case("table", "results/tables/other", 4, "accuracy.csv", (), "accuracy.md"),
    "figure": Case("figure", "results/figures/other", 4, "training-curves.pdf", (), "training-curves.pdf"),
}
LOG = "logs/noise/tiny/ops/u0-a0/s0"
LOGGED = "results/noise/tiny/ops/u0-a0/s0/shards"

SCRIPT = """
pages() { find "$1" -type f -printf '%s\\n' | awk '{n += int(($1 + 4095) / 4096)} END {print n + 0}'; }
while read -r room folder; do
  mkdir -p "$folder" && cp -a "$folder" kept && size=$((room + 4 * $(pages kept))) &&
    mount -t tmpfs -o size=${size}k none "$folder" && cp -a kept/. "$folder" && rm -r kept || exit 99
  touch "$folder/.mounted" # else Snakemake would try to remove an empty folder
done <disks
head -c 4096 /dev/zero >LOG/filler
"$@"; code=$?
while read -r room folder; do find "$folder" -type f ! -name .mounted -printf "LEFT $folder %P\\n"; done <disks
while read -r room folder; do mount -o remount,size=4m "$folder" || exit 99; done <disks
echo AGAIN
"$@" && cp -a results results.out && exit $code
""".replace("LOG", LOG)


@dataclass(frozen=True)
class Outcome:
    """What happened on the small disks.

    Attributes:
        printed: by Snakemake while they were full.
        again: by the same command, after space was freed.
        left: the files in each folder after the first run.
        study: its results at the end lie in ``results.out``.
    """

    printed: str
    again: str
    left: dict[str, set[str]]
    study: Project


@pytest.fixture(scope="module")
def outcome(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The jobs of all cases, each on a disk of its own that is too small, then on larger ones."""
    folder = tmp_path_factory.mktemp("full")
    study = finished.copied(folder).having(OTHER, folder)
    for case in CASES.values():
        for name in case.removed:
            path = study.work / case.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (study.work / LOGGED).iterdir():
        path.unlink()
    disks = {case.folder: case.room for case in CASES.values()} | {LOG: 4}
    (study.work / "disks").write_text("".join(f"{room} {where}\n" for where, room in disks.items()))
    shutil.rmtree(study.work / LOG)
    within = (*(unshared(*MOUNTING) or ()), "sh", "-c", f"cd {study.work}; {SCRIPT}", "sh")
    targets = [f"{case.folder}/{case.target}" for case in CASES.values()]
    output = study.run(*targets, f"{LOGGED}/0-of-1.npy", within=within, ok=False)
    printed, _, again = output.partition("AGAIN\n")
    left: dict[str, set[str]] = {where: set() for where in disks}
    for line in printed.splitlines():
        if line.startswith("LEFT "):
            _, where, name = line.split(" ", 2)
            left[where].add(name)
    return Outcome(printed, again, left, study)


@pytest.mark.parametrize("name", CASES)
def test_a_full_disk_is_named_and_nothing_half_written_stays(outcome: Outcome, name: str) -> None:
    case = CASES[name]
    path = f"{case.folder}/{case.full}"
    expected = f"ERROR in rule {case.rule}: {path}: the disk is full; free some space and run again, nothing was lost"
    lines = [line for line in outcome.printed.splitlines() if expected in line]
    assert lines, outcome.printed
    assert outcome.left[case.folder] == case.left
    assert "Traceback" not in outcome.printed


@pytest.mark.parametrize("name", CASES)
def test_with_space_the_same_command_goes_on(outcome: Outcome, finished: Project, name: str) -> None:
    case = CASES[name]
    written = outcome.study.work / "results.out" / Path(case.folder).relative_to("results")
    assert (written / case.target).exists(), outcome.again
    for old in (finished.work / case.folder).rglob("*"):
        if old.is_file() and old.suffix != ".json" and old.name[0] != ".":
            assert (written / old.relative_to(finished.work / case.folder)).read_bytes() == old.read_bytes()


def test_a_log_that_cannot_be_written_is_told_of_and_stops_nothing(outcome: Outcome) -> None:
    told = f"{LOG}/0-of-1.log: No space left on device: this log has gaps, and the job continues"
    assert outcome.printed.count(told) == 1, outcome.printed
    assert "Logging error" not in outcome.printed
    assert (outcome.study.work / LOGGED / "0-of-1.npy").exists()
    assert "Noise: ops" not in outcome.again


def test_at_the_end_every_result_is_intact(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    results = outcome.study.work / "results.out"
    assert list(verify.damages(verify.results_of(results))) == []
    assert list(results.rglob("*.part")) == []
