"""Where the state of an unfinished output lies."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from unlearnable.arrays import growing
from unlearnable.errors import UserError
from unlearnable.jobs.checkpoints import side_file

ROWS = np.arange(12, dtype=np.int8).reshape(6, 2)


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of checkpoints."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv("UNLEARNABLE_CHECKPOINTS", str(folder))
    return folder


def test_it_lies_beside_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNLEARNABLE_CHECKPOINTS", raising=False)
    assert side_file("results/a/model.safetensors", "model.pt") == Path("results/a/model.pt")


def test_a_folder_holds_that_of_every_output_apart(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for work in ("one", "two"):
        (tmp_path / work).mkdir()
        monkeypatch.chdir(tmp_path / work)
        found += [side_file(f"results/{seed}/model.safetensors", "model.pt") for seed in ("s0", "s1")]
    assert len(set(found)) == 4
    assert all(path.is_relative_to(checkpoints) for path in found)
    assert side_file(tmp_path / "two/results/s1/model.safetensors", "model.pt") == found[-1]


def test_that_of_an_output_in_a_storage_is_found_from_any_working_directory(
    checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [f".snakemake/storage/s3/{bucket}/results/model.safetensors" for bucket in ("ours", "theirs")]
    here = [side_file(path, "model.pt") for path in copies]
    monkeypatch.chdir(tmp_path)
    assert [side_file(path, "model.pt") for path in copies] == here
    assert here[0] != here[1]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLEARNABLE_CHECKPOINTS", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"UNLEARNABLE_CHECKPOINTS=.*/none: no such folder"):
        side_file("results/model.safetensors", "model.pt")


def begun(path: Path) -> dict[str, int]:
    """An array of which a job wrote four rows before it was interrupted; what it saved."""
    with (
        suppress(InterruptedError),
        growing(path, side_file(path, f".{path.name}.part"), ROWS.shape, np.int8, None) as array,
    ):
        array.write(ROWS[:4])
        saved = array.save()
        raise InterruptedError
    return saved


def test_a_growing_array_goes_on_there_and_ends_beside_its_output(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "out/noise.npy"
    saved = begun(path)
    assert not path.exists()
    assert [file.name for file in checkpoints.rglob("*") if file.is_file()] == [".noise.npy.part"]
    with growing(path, side_file(path, f".{path.name}.part"), ROWS.shape, np.int8, saved) as array:
        assert array.rows == 4
        array.write(ROWS[4:])
    assert np.array_equal(np.load(path), ROWS)
    assert not [file for file in checkpoints.rglob("*") if file.is_file()]


def finish_beside_another(path: Path, saved: dict[str, int], checkpoints: Path) -> None:
    """End an array while another job writes to the same side file."""
    with growing(path, side_file(path, f".{path.name}.part"), ROWS.shape, np.int8, saved) as array:
        (beside,) = (file for file in checkpoints.rglob("*") if file.is_file())
        with open(beside, "ab") as other:
            other.write(b"else")
        array.write(ROWS[4:])


def test_a_growing_array_that_another_job_wrote_to_is_refused(checkpoints: Path, tmp_path: Path) -> None:
    path = tmp_path / "out/noise.npy"
    saved = begun(path)
    with pytest.raises(UserError, match="changed by another job"):
        finish_beside_another(path, saved, checkpoints)
    assert not path.exists()
