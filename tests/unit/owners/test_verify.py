"""A release is checked wherever it lies, and everything that is wrong with it is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from unlearnable import files
from unlearnable.cli.main import main
from unlearnable.datasets import released
from unlearnable.errors import UserError
from unlearnable.owners.verify import faults

from ..stages.test_release import Owner

FIRST = "images/cat/猫.png"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Owner, Path]:
    owner = Owner(tmp_path_factory.mktemp("owner"))
    return owner, owner.release()


@pytest.fixture
def release(made: tuple[Owner, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / "elsewhere"))


def summed(folder: Path) -> None:
    """Sums that fit the files as they are now."""
    names = released.read_sums(folder / "SHA256SUMS")
    lines = [released.sums_line(files.sha256(folder / name), name) for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def beyond(folder: Path) -> None:
    lines = (folder / "images.csv").read_text().splitlines()
    parts = lines[1].split(",")
    (folder / "images.csv").write_text("\n".join([lines[0], ",".join([*parts[:3], "99", parts[4]]), *lines[2:]]) + "\n")
    summed(folder)


def fewer(folder: Path) -> None:
    lines = (folder / "images.csv").read_text().splitlines()
    (folder / "images.csv").write_text("\n".join(lines[:-1]) + "\n")
    summed(folder)


def miscounted(folder: Path) -> None:
    about = json.loads((folder / "release.json").read_text())
    (folder / "release.json").write_text(json.dumps(about | {"images": 1}))
    summed(folder)


CHANGES: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a byte": (lambda folder: (folder / FIRST).write_bytes(b"x"), ["checksum mismatch"]),
    "a missing image": (lambda folder: (folder / FIRST).unlink(), ["the file is missing"]),
    "one more file": (lambda folder: (folder / "images/cat/x.png").touch(), ["not listed in SHA256SUMS"]),
    "a change beyond the bound": (beyond, ["a change of 99 is beyond linf 8 1/255"]),
    "a shorter list": (fewer, ["6 images of 2 classes", "not those of SHA256SUMS", "or their labels"]),
    "another count": (miscounted, ["7 images of 2 classes are not those that release.json states"]),
}


def test_a_copy_is_intact(made: tuple[Owner, Path], release: Path) -> None:
    (release / ".DS_Store").touch()
    assert not list(faults(release))
    assert not list(faults(release, made[0].photos))


@pytest.mark.parametrize("change", CHANGES)
def test_each_fault_is_a_line(release: Path, change: str) -> None:
    make, said = CHANGES[change]
    make(release)
    found = list(faults(release))
    assert len(found) == len(said)
    for line, part in zip(found, said, strict=True):
        assert part in line
    done = CliRunner().invoke(main, ["verify", str(release)])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == len(said)


def test_other_originals_are_noticed(made: tuple[Owner, Path], release: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(made[0].photos, tmp_path / "other"))
    Image.new("RGBA", (7, 5)).save(other / "cat/猫.png")
    (other / "cat/back\\slash.png").unlink()
    found = list(faults(release, other))
    assert any("猫.png" in line for line in found)
    assert any("there is no such original" in line for line in found)


def test_another_folder_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="SHA256SUMS: no such file, so this is no complete release"):
        list(faults(tmp_path))
