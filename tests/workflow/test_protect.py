"""``unlearnable protect`` as an owner would call it."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from unlearnable.cli import protect as command
from unlearnable.cli.main import main
from unlearnable.owners import audit, presets

TINY = {"image_size": 16, "steps": 4}
NAMES = ["a b.jpg", "it's $HOME.jpg", "猫.png", "d.jpg", "e.jpg"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draws = np.random.default_rng(0)
    for label in ("cat", 'a "dog"'):
        for name in NAMES:
            path = tmp_path / "my photos" / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(draws.integers(0, 256, (4, 5, 3), np.uint8))
            coarse.resize((80, 60), Image.Resampling.BICUBIC).save(path)
    return tmp_path / "my photos"


def unlearnable(*arguments: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, list(map(str, arguments)))
    return done.exit_code, done.output


def protect(*arguments: str | Path) -> tuple[int, str]:
    return unlearnable("protect", *arguments, "--no-audit")


def test_a_folder_in_a_release_out(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "DEFAULT", TINY)
    (photos / "cat/broken.jpg").touch()
    code, said = protect(photos, "--directory", tmp_path, "--cores", "2")
    assert code == 1
    assert "cat/broken.jpg: empty (0 bytes)" in said
    assert not (tmp_path / "results").exists()

    code, said = protect(photos, "--directory", tmp_path, "--skip-odd", "--licence", "CC0", "--cores", "2")
    assert code == 0, said
    release, private = tmp_path / "results/release/my-photos", tmp_path / "results/private/my-photos"
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    assert f"The release: {release}" in said
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=release, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    found = {path.relative_to(release / "images").as_posix() for path in (release / "images").rglob("*.*")}
    ends = [name if name.endswith(".png") else f"{name}.png" for name in NAMES]
    assert found == {f"{label}/{name}" for label in ("cat", 'a "dog"') for name in ends}
    assert "cat/broken.jpg" in (private / "left_out.csv").read_text()

    before = {path: path.read_bytes() for path in release.rglob("*") if path.is_file()}
    assert protect(photos, "--directory", tmp_path, "--skip-odd")[0] == 0
    assert {path: path.read_bytes() for path in release.rglob("*") if path.is_file()} == before
    code, said = protect(photos, "--directory", tmp_path, "--skip-odd", "--strength", "high")
    assert (code, "was made with --strength medium; choose another --name" in said) == (1, True)
    code, said = protect(photos, "--directory", tmp_path, "--name", "again", "--skip-odd")
    assert code == 1
    assert "is in the release my-photos already" in said


def test_a_killed_run_goes_on(photos: Path, tmp_path: Path) -> None:
    script = (
        f"from unlearnable.owners import presets; presets.DEFAULT = {TINY | {'steps': 60}}\n"
        "from unlearnable.cli.main import main; main()"
    )
    command = [sys.executable, "-c", script, "protect", str(photos), "--no-audit"]
    command += ["--directory", str(tmp_path), "--cores", "2"]
    private = tmp_path / "results/private/my-photos"
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(private.glob("results/dataset/*/manifest.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / "results/release/my-photos").exists()
    seed = (private / "study.yaml").read_text()
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (private / "study.yaml").read_text() == seed
    assert (tmp_path / "results/release/my-photos/SHA256SUMS").is_file()


def test_a_release_is_audited(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presets, "DEFAULT", TINY)
    for name, value in {"SIZES": (16,), "STEPS": 4, "CHANGED": (), "OTHER_NETWORK": audit.NETWORK}.items():
        monkeypatch.setattr(audit, name, value)
    monkeypatch.setattr(command, "SEEDS", 2)
    code, said = unlearnable("protect", photos, "--directory", tmp_path, "--cores", "2")
    assert code == 0, said
    release, private = tmp_path / "results/release/my-photos", tmp_path / "results/private/my-photos"
    assert "standard training (small-cnn, 16 pixels)" in said
    assert said.index("Colour histogram (16 pixels): ") < said.index(f"The release: {release}")
    assert "Colour histogram (16 pixels): " in (release / "README.md").read_text()
    assert "was not audited" not in (release / "README.md").read_text()
    assert unlearnable("verify", release, "--originals", photos) == (0, f"{release}: intact\n")
    assert (private / "audit/report.html").is_file()

    before = {path: path.read_bytes() for path in release.rglob("*") if path.is_file()}
    victims = {path: path.stat().st_mtime_ns for path in private.glob("audit/results/victim/**/metrics.json")}
    assert len(victims) == 2 * 2 * 2  # of originals and release, in two ways, for two seeds
    code, again = unlearnable("audit", release, "--originals", photos, "--directory", tmp_path, "--seeds", "2")
    assert code == 0, again
    assert {path: path.stat().st_mtime_ns for path in victims} == victims
    assert {path: path.read_bytes() for path in release.rglob("*") if path.is_file()} == before
    code, said = protect(photos, "--directory", tmp_path)
    assert code == 0, said
    assert {path: path.read_bytes() for path in release.rglob("*") if path.is_file()} == before
