"""What ``unlearnable run`` passes to Snakemake, and what it refuses itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from unlearnable.cli.main import main
from unlearnable.cli.pipeline import arguments
from unlearnable.tools.plan.reading import ROOT


def test_a_study_and_options_reach_snakemake(tmp_path: Path) -> None:
    study = tmp_path / "it's mine.yaml"
    study.write_text("run: [a]\n")
    found = arguments(["figures", "--resources", "gpu=2"], [study], ROOT)
    assert found[:3] == ["figures", "--resources", "gpu=2"]
    assert found[3:] == [
        *("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(study), "--directory", str(ROOT)),
        *("--cores", "all"),
    ]


@pytest.mark.parametrize("options", [["-c4"], ["--cores=4"], ["--cores", "4"], ["--profile", "x"], ["-j", "2"]])
def test_given_cores_are_kept(options: list[str]) -> None:
    assert arguments(options, [], ROOT).count("all") == 0


def test_a_given_directory_is_kept() -> None:
    assert "--directory" not in arguments(["-d", "elsewhere"], [], ROOT)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("run: [a]\n".encode("utf-16"), ""),
        ("run: [caf\xe9]\n".encode("latin-1"), ":1"),
        (b"run: &a [*a]\n", ":1"),
        (b"run: [a]\nrun: [b]\n", ":2"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *_: pytest.fail("Snakemake was started"))
    study = tmp_path / "mine.yaml"
    study.write_bytes(content)
    done = CliRunner().invoke(main, ["run", str(study), "-n"])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"{study}{said}")
    assert len(done.stderr.splitlines()) == 1


def test_a_preset_is_laid_under_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[Path]] = []

    def started(options: list[str], files: list[Path]) -> int:
        given.append(files)
        return 0

    monkeypatch.setattr("unlearnable.cli.run.run_workflow", started)
    study = tmp_path / "mine.yaml"
    assert CliRunner().invoke(main, ["run", "--preset", "cpu", str(study), "-n"]).exit_code == 0
    assert given == [[ROOT / "config/presets/cpu.yaml", study]]


@pytest.mark.parametrize("command", ["run", "plan"])
def test_an_unknown_preset_is_refused_with_those_there_are(command: str) -> None:
    done = CliRunner().invoke(main, [command, "--preset", "gpu"])
    assert done.exit_code == 1
    assert done.stderr == "gpu: no such preset; known: cpu\n"


def test_every_command_has_a_help_text() -> None:
    for name in main.commands:
        done = CliRunner().invoke(main, [name, "--help"])
        assert done.exit_code == 0
        assert f"Usage: main {name}" in done.output
