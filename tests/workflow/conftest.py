"""One finished study that many tests look at, and the means to make others."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .pipeline import Config, Project, checkout, random_images, tiny_study, write_split
from .slow import slow_study


@contextmanager
def once(name: str, factory: pytest.TempPathFactory) -> Iterator[tuple[Path, bool]]:
    """A folder that all processes of this test run share, and whether it is for this one to fill."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder, filled = base / name, base / f"{name}.filled"
        if not filled.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a process that failed to fill it
        yield folder, not filled.exists()
        filled.touch()


@pytest.fixture(scope="session")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that edits meanwhile do not matter."""
    with once("repo", tmp_path_factory) as (folder, empty):
        return checkout(folder) if empty else folder


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny dataset."""
    with once("images", tmp_path_factory) as (folder, empty):
        if empty:
            write_split(folder / "train.parquet", random_images(64, seed=1))
            write_split(folder / "test.parquet", random_images(40, seed=2))
        return folder


@pytest.fixture(scope="session")
def tiny(images: Path) -> Config:
    """The settings of the tiny study."""
    return tiny_study(images)


@pytest.fixture(scope="session")
def finished(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny study, run to its end. Tests may plan on it, not change it."""
    with once("finished", tmp_path_factory) as (folder, empty):
        if not empty:
            return Project(repo, folder / "run", tiny, folder / "study.yaml")
        project = Project.new(repo, folder, tiny)
        project.run("all")
        return project


@pytest.fixture(scope="session")
def undisturbed(repo: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The slow study up to its protected dataset, never interrupted. Tests may copy it, not change it."""
    with once("undisturbed", tmp_path_factory) as (folder, empty):
        config = slow_study(images)
        if not empty:
            return Project(repo, folder / "run", config, folder / "study.yaml")
        project = Project.new(repo, folder, config)
        project.run("perturbed")
        return project
