"""All damage in a folder of results is listed, and nothing else."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unlearnable import files
from unlearnable.errors import regenerate
from unlearnable.tools import verify

from ..irregular import KINDS, irregular

CELL = "results/victim/d/clean/s0"
BENCHMARK = "results/benchmark/victim/d/clean/s0.jsonl"
NAMES = ("model.safetensors", "history.parquet")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A dataset, a victim and a table, with what stands beside them while jobs run."""
    for name in (
        *(f"{CELL}/{name}" for name in NAMES),
        *("results/tables/t/accuracy.csv", "results/tables/t/accuracy.md"),
        *("results/dataset/d/train/images-00000.npy", "results/dataset/d/train/labels.npy"),
        *("results/dataset/d/download/archive.zip", "results/dataset/d/train/.snakemake_timestamp"),
        *(f"{CELL}/model.checkpoint.pt", f"{CELL}/.metrics.json.12.part", "results/report.zip", "results/.gitkeep"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() * 100)
    train = tmp_path / "results/dataset/d/train"
    hashes = {f"train/{name}": found for name, found in files.hashes(*train.glob("*.npy")).items()}
    files.write_json(train.parent / "manifest.json", {"files": hashes})
    files.write_json(tmp_path / CELL / "metrics.json", {"files": files.hashes(*(tmp_path / CELL / n for n in NAMES))})
    table = tmp_path / "results/tables/t/accuracy"
    hashed = files.hashes(table.with_suffix(".csv"), table.with_suffix(".md"))
    files.write_json(table.with_suffix(".json"), {"files": hashed})
    (tmp_path / BENCHMARK).parent.mkdir(parents=True)
    (tmp_path / BENCHMARK).write_text('{"max_pss": 120.0, "s": 4.25}\n', encoding="utf-8")
    return tmp_path


def run(work: Path, capsys: pytest.CaptureFixture[str]) -> tuple[list[str], str, int | str | None]:
    """The lines of damage, the summary and the exit code."""
    with pytest.raises(SystemExit) as ended:
        verify.main(["--directory", str(work)])
    *lines, summary = capsys.readouterr().out.replace(f"{work}/", "").splitlines()
    return lines, summary, ended.value.code


def flip(path: Path, bit: int = -1) -> None:
    """Turn one bit of a file, by default its last one."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_results_that_are_intact_are_called_so(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(work, capsys) == ([], "10 files in results: all intact", 0)


COMMAND = "snakemake {} --cores all (with this study's options)"
MISMATCH = "checksum mismatch: expected sha256 "
DAMAGES: dict[str, tuple[str, Callable[[Path], None], str, str]] = {
    "a flipped bit": (f"{CELL}/model.safetensors", flip, MISMATCH, f"{CELL}/metrics.json"),
    "a file cut short": (
        "results/dataset/d/train/images-00000.npy",
        lambda path: os.truncate(path, path.stat().st_size - 1),
        MISMATCH,
        "results/dataset/d/manifest.json",
    ),
    "an empty file": (
        "results/tables/t/accuracy.csv",
        lambda path: os.truncate(path, 0),
        MISMATCH,
        "results/tables/t/accuracy.json",
    ),
    "a missing file": (f"{CELL}/history.parquet", Path.unlink, "the file is missing", f"{CELL}/metrics.json"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_named_with_what_to_do(kind: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, damage, problem, manifest = DAMAGES[kind]
    damage(work / name)
    (line,), summary, code = run(work, capsys)
    assert line.startswith(f"{name}: {problem}")
    assert line.endswith(f"; delete {manifest} and regenerate it: {COMMAND.format(manifest)}")
    assert summary.endswith(" files in results: 1 damaged")
    assert code == 1


@pytest.mark.parametrize("name", ["results/dataset/d/manifest.json", f"{CELL}/metrics.json"])
@pytest.mark.parametrize("kind", ["seal", "not JSON", "empty"])
def test_a_damaged_json_file_is_named_alone(
    name: str, kind: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = (work / name).read_bytes()
    damaged = {"seal": content.replace(b"files", b"filez"), "not JSON": content[:-2], "empty": b""}
    (work / name).write_bytes(damaged[kind])
    (line,), summary, code = run(work, capsys)
    assert line.startswith(f"{name}: {'damaged or edited' if kind == 'seal' else 'not a JSON file'}")
    assert line.endswith(f"; delete {name} and regenerate it: {COMMAND.format(name)}")
    assert (summary, code) == ("10 files in results: 1 damaged", 1)


def test_what_snakemake_had_not_written_to_its_end_is_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.truncate(work / BENCHMARK, 20)
    (line,), summary, code = run(work, capsys)
    assert line.startswith(f"{BENCHMARK}: not Snakemake's benchmark file of one job")
    assert line.endswith("; delete it, cost tables do not need it")
    assert (summary, code) == ("10 files in results: 1 damaged", 1)


def test_a_copy_of_what_is_in_a_storage_is_not_what_has_to_be_deleted() -> None:
    name = f"{CELL}/metrics.json"
    told = regenerate(f".snakemake/storage/s3/bucket/results/{name}")
    assert told == f"delete {name} in the storage and regenerate it: {COMMAND.format(name)}"


def test_what_lies_on_another_disk_is_read_and_a_circle_of_links_ends(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "disk").mkdir()
    (work / "results/dataset/d").rename(work / "disk/d")
    (work / "results/dataset/d").symlink_to(work / "disk/d")
    (work / "disk/d/train/round").symlink_to(work / "disk/d")
    flip(work / "disk/d/train/labels.npy")
    (line,), summary, code = run(work, capsys)
    assert line.startswith(f"results/dataset/d/train/labels.npy: {MISMATCH}")
    assert (summary, code) == ("10 files in results: 1 damaged", 1)


def test_no_results_are_not_called_intact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results/.gitkeep").touch()
    with pytest.raises(SystemExit, match="there are no results here"):
        verify.main(["--directory", str(tmp_path)])


def test_every_flipped_bit_of_a_checksum_file_is_found(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = work / "results/tables/t/accuracy.json"
    for bit in range(0, 8 * path.stat().st_size, 5):  # a fifth of them, of every place in a byte
        flip(path, bit)
        lines, _, code = run(work, capsys)
        assert any("results/tables/t/accuracy" in line for line in lines), bit
        assert code == 1
        flip(path, bit)
    assert run(work, capsys)[2] == 0


def test_all_damage_is_listed(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = [path for path in verify.results_of(work / "results") if path.suffix != ".json"]
    for path in whole:
        flip(path)
    lines, summary, code = run(work, capsys)
    assert sorted(line.split(":")[0] for line in lines) == sorted(str(path.relative_to(work)) for path in whole)
    assert (summary, code) == ("10 files in results: 7 damaged", 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name", [f"{CELL}/history.parquet", f"{CELL}/metrics.json", "results/tables/t/accuracy.json", BENCHMARK]
)
def test_what_is_no_file_is_named_and_the_rest_is_checked(
    work: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    flip(work / "results/dataset/d/train/labels.npy")
    with irregular(work / name, kind) as called:
        lines, summary, code = run(work, capsys)
    wrong, flipped = sorted(lines, key=lambda line: "labels.npy" in line)
    assert wrong.startswith(f"{name}: {called}, not a regular file; delete ")
    assert flipped.startswith("results/dataset/d/train/labels.npy: checksum mismatch")
    assert (summary, code) == ("10 files in results: 2 damaged", 1)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a": ' * 100_000 + b"0" + b"}" * 100_000])
@pytest.mark.parametrize("name", [f"{CELL}/metrics.json", "results/tables/t/accuracy.json", BENCHMARK])
def test_deeply_nested_json_is_one_damaged_file_and_the_rest_is_checked(
    work: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    flip(work / "results/dataset/d/train/labels.npy")
    (work / name).write_bytes(content)
    lines, summary, code = run(work, capsys)
    assert sorted(line.split(":")[0] for line in lines) == sorted([name, "results/dataset/d/train/labels.npy"])
    assert all(len(line) < 500 for line in lines)
    assert summary.endswith("files in results: 2 damaged")
    assert code == 1


@pytest.mark.parametrize("listed", ["a\0b", "n" * 300, "/dev/null", "train", "\udcff"])
def test_names_that_no_result_has_are_reported_and_the_rest_is_checked(
    work: Path, capsys: pytest.CaptureFixture[str], listed: str
) -> None:
    flip(work / "results/tables/t/accuracy.md")
    manifest = work / "results/dataset/d/manifest.json"
    hashes = files.read_json(manifest)["files"]
    files.write_json(manifest, {"files": hashes | {listed: "0" * 64}})
    lines, summary, code = run(work, capsys)
    assert len(lines) == 2, lines
    assert any(line.startswith("results/tables/t/accuracy.md: checksum mismatch") for line in lines)
    assert (summary, code) == ("10 files in results: 2 damaged", 1)


def test_a_file_that_nothing_tells_of_is_named(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / CELL / "metrics.json").unlink()
    lines, _, code = run(work, capsys)
    assert lines == [
        f"{CELL}/{name}: no manifest lists this file: its job did not finish; run the study again"
        for name in ("history.parquet", "model.safetensors")
    ]
    assert code == 1


def test_a_long_check_tells_how_far_it_is(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic", itertools.count(0, 10).__next__)
    assert list(verify.damages(verify.results_of(work / "results"))) == []
    assert capsys.readouterr().err.splitlines()[-1] == "5 of 6 files, 0.0 of 0.0 GB"


def test_a_folder_without_results_is_an_error_of_one_line(work: Path) -> None:
    shutil.rmtree(work / "results")
    command = [sys.executable, "-m", "unlearnable.tools.verify"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "results: no such folder; set --directory to the folder that holds results/\n"


def test_the_name_of_a_file_is_one_line_that_no_terminal_obeys(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        (work / CELL / "\x1b[2J\nall intact\udcff").touch()
    except OSError:
        pytest.skip("this file system takes names in UTF-8 only")
    (line,), summary, code = run(work, capsys)
    assert line.startswith(rf"{CELL}/\x1b[2J\nall intact\xff: no manifest lists this file")
    assert (summary, code) == ("11 files in results: 1 damaged", 1)


def test_a_folder_that_cannot_be_listed_is_not_called_intact(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def broken(path: str) -> Any:
        if str(path).endswith(CELL):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", broken)
    with pytest.raises(SystemExit, match=rf"{CELL}: cannot be listed \(Input/output error\), so its results were not"):
        verify.main(["--directory", str(work)])
