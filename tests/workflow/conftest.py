"""One finished study that many tests look at, and the means to make others."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pipeline import Config, Project, checkout, random_images, tiny_study, write_split


@pytest.fixture(scope="session")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, so that edits meanwhile do not matter."""
    return checkout(tmp_path_factory.mktemp("repo"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny dataset."""
    folder = tmp_path_factory.mktemp("images")
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
    project = Project.new(repo, tmp_path_factory.mktemp("finished"), tiny)
    project.run("all")
    return project
