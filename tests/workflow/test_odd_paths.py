"""A study whose files, folders and Python have names that a shell would take apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .pipeline import CLASSES, Config, Project, checkout, dataset, random_images, write_split

ODD = 'it\'s my "own" $HOME & more'


def test_a_job_runs_whatever_its_paths_are_called(tiny: Config, tmp_path: Path) -> None:
    folder = tmp_path / ODD
    for half in ("train", "test"):
        write_split(folder / "images" / f"{half}.parquet", random_images(12))
    python = folder / "venv" / "bin" / "python"
    (folder / "venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):  # what makes Python find the environment's packages
        (folder / "venv" / name).symlink_to(Path(sys.prefix) / name)
    repo = checkout(folder / "repo")
    datasets = {"datasets": {"tiny": dataset(folder / "images"), "2024": dataset(folder / "images")}}
    change = {"experiments": {"tiny": tiny["experiments"]["tiny"] | {"datasets": ["2024"]}}}
    project = Project.new(repo, folder / "study", tiny | datasets | change)
    (folder / "study" / f"{ODD}.yaml").write_bytes(project.study.read_bytes())
    arguments = ["-s", str(repo / "Snakefile"), "-d", str(project.work), "--cores", "1"]
    done = subprocess.run(
        [python, "-m", "snakemake", "datasets", *arguments, "--configfile", folder / "study" / f"{ODD}.yaml"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert project.json("results/dataset/2024/manifest.json")["classes"] == CLASSES
