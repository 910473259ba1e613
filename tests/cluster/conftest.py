"""A local Slurm, and the fixtures that these tests share with the pipeline's others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from workflow.conftest import finished, images, repo, tiny, undisturbed

from .s3 import Server, served
from .slurm import HINT, Slurm, missing

__all__ = ["finished", "images", "repo", "s3", "slurm", "tiny", "undisturbed"]


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of one node and four GPUs, on ports and in a folder of its own."""
    if missing():
        pytest.skip(f"{', '.join(missing())} {HINT}")
    cluster = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def s3() -> Iterator[Server]:
    """A server that speaks S3."""
    with served() as server:
        yield server
