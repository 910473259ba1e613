"""Shared by the tests of readers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearnable import registry
from unlearnable.datasets import read as readers
from unlearnable.datasets import stream as streams
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.split import Split

CLASSES = ["cat", "dog", "owl"]

Read = tuple[Split, Split, dict[str, Any]]


@pytest.fixture
def read_dataset(tmp_path: Path) -> Callable[..., Read]:
    """``read_dataset(**description)``: both splits in memory, checked as the dataset stage does, and the provenance.

    Relative paths start at ``tmp_path``; images are of 8x8 RGB and the classes are cat, dog and owl unless described.
    """

    def read(**description: Any) -> Read:
        described: dict[str, Any] = {"image_size": 8, "channels": 3, "classes": CLASSES} | description
        dataset: Dataset = registry.validated("readers", described)
        shape = (dataset.image_size, dataset.image_size, dataset.channels)
        train, test, provenance = readers.read(dataset, tmp_path, tmp_path / "downloads")

        def split(stream: streams.Stream) -> Split:
            assert stream.labels.dtype == np.int64
            pieces = list(streams.checked(stream, shape, dataset.classes).chunks())
            return Split(np.concatenate(pieces), stream.labels, dataset.classes)

        return split(train), split(test), provenance

    return read


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def serve_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """``serve_folder(path)``: the address at which a real server gives the files of a folder."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def serving(folder: Path) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serving
    for server in servers:
        server.shutdown()
        server.server_close()
