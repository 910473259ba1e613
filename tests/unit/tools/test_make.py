"""What ``make`` calls for a study, whatever its file is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from unlearnable.tools import check

MAKEFILE = Path(__file__).parents[3] / "Makefile"
SHOW = """#!/bin/sh
for argument; do printf '%s\\n' "$argument" >> calls; done
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def calls(target: str, folder: Path, *variables: str, **environment: str) -> list[str]:
    """The arguments of all programs that a target of the Makefile starts."""
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(MAKEFILE, folder / "Makefile")
    for name in ("requirements.lock", "pyproject.toml", ".venv/installed"):
        (folder / name).touch()
    for name in ("python", "snakemake"):
        (folder / ".venv/bin" / name).write_text(SHOW)
        (folder / ".venv/bin" / name).chmod(0o755)
    given = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "STUDY", "CORES", "FOLDER")}
    done = subprocess.run(
        ["make", target, "GPUS=0", *variables], cwd=folder, env=given | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize(
    "study", ["my study.yaml", "it's.yaml", 'a "b".yaml', "$HOME $(x) $$.yaml", "`x`; y & z*#.yaml", "a,b\\.yaml"]
)
@pytest.mark.parametrize("target", ["run", "plan", "report"])
def test_a_study_may_have_any_name(tmp_path: Path, target: str, study: str) -> None:
    found = calls(target, tmp_path / "given it's $HOME", f"STUDY={study}")
    assert found[found.index("--configfile") + 1] == study
    if target != "plan":  # which checks by itself
        assert found[found.index("unlearnable.tools.check") + 1] == study
    assert calls(target, tmp_path / "environment", STUDY=study) == found


@pytest.mark.parametrize("target", ["run", "plan", "report"])
def test_a_preset_is_laid_under_the_study(tmp_path: Path, target: str) -> None:
    found = calls(target, tmp_path, "STUDY=my study.yaml", "PRESET=cpu")
    at = found.index("--configfile")
    assert found[at + 1 : at + 3] == ["config/presets/cpu.yaml", "my study.yaml"]


@pytest.mark.parametrize("target", ["run", "plan", "report"])
def test_without_a_study_there_is_nothing_to_lay_over(tmp_path: Path, target: str) -> None:
    found = calls(target, tmp_path)
    assert "--configfile" not in found
    assert "unlearnable.tools.check" not in found


@pytest.mark.parametrize("name", ["my photos", "it's $HOME", '"b" `x`; y & z*#'])
def test_a_folder_to_protect_may_have_any_name(tmp_path: Path, name: str) -> None:
    found = calls("protect", tmp_path, f"FOLDER={name}")
    assert found[found.index("protect") + 1] == name


def test_an_unknown_preset_is_one_line_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(MAKEFILE.parent)  # where make runs
    with pytest.raises(SystemExit, match="gpu: no such preset; known: cpu"):
        check.main(["config/presets/gpu.yaml"])
    check.main(["config/presets/cpu.yaml"])
