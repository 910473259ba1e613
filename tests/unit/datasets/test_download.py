"""Downloads from a real server on this machine: broken, moved, wrong and absent files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearnable.datasets.download import LONGEST_PAUSE, fetch
from unlearnable.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """A server's files, and how it behaves.

    Attributes:
        files: contents by path.
        faults: what the next requests meet in place of an answer: a status, one with many words, no HTTP at all, or
            after how many bytes to break off.
        ranges: whether it knows the header Range.
        etags: whether it says which version of a file it sends.
        astray: how many bytes before what was asked for it goes on.
        moved: addresses that a path is redirected to.
        asked: what was asked for so far, as path and Range.
    """

    def __init__(self) -> None:
        self.files = {"/file.bin": CONTENT}
        self.faults: list[tuple[str, int]] = []
        self.ranges = self.etags = True
        self.astray = 0
        self.moved: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.address = ""


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, self.headers["Range"]))
            fault, number = site.faults.pop(0) if site.faults else ("", 0)
            if fault == "status":
                return self.send_error(number)
            if fault == "words":
                self.send_response(number, "\x1b[2J\r" + "gone " * 1000)
                return self.end_headers()
            if fault == "nonsense":
                self.wfile.write(b"\x1b[2J" * 1000)
                return self.wfile.flush()
            if self.path in site.moved:
                self.send_response(302)
                self.send_header("Location", site.moved[self.path])
                return self.end_headers()
            content = site.files.get(self.path)
            if content is None:
                return self.send_error(404)
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            start = 0
            if site.ranges and self.headers["Range"] and self.headers["If-Range"] == etag:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")) - site.astray
            if start >= len(content):
                return self.send_error(416)
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            if site.etags:
                self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(content[start : start + number] if fault == "break" else content[start:])

        def log_message(self, *arguments: Any) -> None:
            pass

    return Handler


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``serve()``: a new site, its address in ``address``."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def serving() -> Site:
        site = Site()
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
        site.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return site

    yield serving
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(serve: Any) -> Site:
    found: Site = serve()
    return found


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def get(tmp_path: Path, site: Site, pauses: list[float]) -> Any:
    """``get(**changes)``: fetch the site's file without waiting; what it would have waited is in ``pauses``."""

    def got(*addresses: str, **changes: Any) -> Path:
        urls = [f"{address}/file.bin" for address in addresses or (site.address,)]
        options: dict[str, Any] = {"sha256": SHA256, "pause": pauses.append} | changes
        return fetch(urls, tmp_path / "files" / "file.bin", **options)

    return got


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def test_a_file_is_downloaded_whole_and_alone(get: Any) -> None:
    path = get()
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_a_file_that_is_there_is_not_asked_for_again(get: Any, site: Site) -> None:
    get()
    assert get() == get(md5=hashlib.md5(CONTENT).hexdigest(), sha256=None)
    assert len(site.asked) == 1


def test_a_file_that_is_there_but_another_one_is_downloaded_again(get: Any, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "file.bin").write_bytes(b"something else")
    assert get().read_bytes() == CONTENT


def test_a_file_that_is_there_stays_until_its_replacement_is_whole(get: Any, site: Site, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "file.bin").write_bytes(b"something else")
    site.files = {}
    with pytest.raises(UserError, match="could not be downloaded"):
        get()
    assert (tmp_path / "files" / "file.bin").read_bytes() == b"something else"


def test_an_interrupted_transfer_is_resumed(get: Any, site: Site, pauses: list[float]) -> None:
    site.faults = [("break", 1000), ("break", 500)]
    assert get().read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=1000-", "bytes=1500-"]
    assert len(pauses) == 2


def test_another_run_resumes_what_an_interrupted_one_left(get: Any, site: Site) -> None:
    site.faults = [("break", 1000)]
    with pytest.raises(UserError, match=r"file\.bin could not be downloaded .*broke off at 1000 of 300000 bytes"):
        get(attempts=1)
    assert get().read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=1000-"]


def test_a_file_that_changed_on_the_server_starts_over(get: Any, site: Site) -> None:
    site.files["/file.bin"] = bytes(400_000)
    site.faults = [("break", 1000)]
    with pytest.raises(UserError):
        get(attempts=1)
    site.files["/file.bin"] = CONTENT
    assert get().read_bytes() == CONTENT
    assert site.asked[-1][1] == "bytes=1000-"  # it was asked for the rest, and sent the whole new file


@pytest.mark.parametrize("lacking", ["ranges", "etags"])
def test_a_server_that_cannot_resume_is_asked_for_the_whole_again(get: Any, site: Site, lacking: str) -> None:
    setattr(site, lacking, False)
    site.faults = [("break", 1000)]
    assert get().read_bytes() == CONTENT
    assert len(site.asked) == 2
    assert (site.asked[1][1] is None) == (lacking == "etags")


def test_a_server_that_goes_on_elsewhere_than_asked_is_asked_for_the_whole(get: Any, site: Site) -> None:
    site.astray = 10
    site.faults = [("break", 1000)]
    assert get().read_bytes() == CONTENT
    assert [asked for _, asked in site.asked] == [None, "bytes=1000-", None]


def test_a_part_that_is_longer_than_the_file_is_forgotten(get: Any, site: Site, tmp_path: Path) -> None:
    site.faults = [("break", 1000)]
    with pytest.raises(UserError):
        get(attempts=1)
    with open(tmp_path / "files" / ".file.bin.part", "ab") as file:
        file.write(bytes(400_000))
    assert get().read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_only_checked(get: Any, site: Site, tmp_path: Path) -> None:
    site.faults = [("break", 1000)]
    with pytest.raises(UserError):
        get(attempts=1)
    (tmp_path / "files" / ".file.bin.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT
    assert len(site.asked) == 1


@pytest.mark.parametrize("note", ["", "{", "[1]", json.dumps({"url": "http://elsewhere/file.bin", "validator": "x"})])
def test_a_part_of_unknown_origin_is_forgotten(get: Any, site: Site, tmp_path: Path, note: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / ".file.bin.part").write_bytes(b"something else")
    (tmp_path / "files" / ".file.bin.part.json").write_text(note)
    assert get().read_bytes() == CONTENT
    assert site.asked == [("/file.bin", None)]


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again(get: Any, site: Site, pauses: list[float], status: int) -> None:
    site.faults = [("status", status)] * 2
    assert get().read_bytes() == CONTENT
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("fault", "shown"), [(("words", 404), r"HTTP 404 \x1b[2J\rgone gone "), (("nonsense", 0), r"\x1b[2J\x1b[2J")]
)
def test_the_words_of_a_server_are_few_and_not_obeyed_by_a_terminal(
    get: Any, site: Site, caplog: pytest.LogCaptureFixture, fault: tuple[str, int], shown: str
) -> None:
    site.faults = [fault]
    with pytest.raises(UserError) as raised:
        get(attempts=1)
    (logged,) = caplog.messages
    for message in (str(raised.value.args[0]), logged):
        assert shown in message
        assert message.isprintable()
        assert len(message) < 500


def test_the_new_name_of_a_download_is_on_disk_too(get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        path = tmp_path / "files"
        named.append(os.path.samestat(os.fstat(descriptor), path.stat()) and (path / "file.bin").exists())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    get()
    assert named[-1]


def test_pauses_grow_and_are_the_same_every_time(get: Any, site: Site, pauses: list[float]) -> None:
    site.faults = [("status", 500)] * 12
    get(attempts=20)
    first = list(pauses)
    assert all(2**n * 0.5 <= pause <= min(LONGEST_PAUSE, 2**n * 1.5) for n, pause in enumerate(first[:6]))
    assert max(first) == LONGEST_PAUSE
    site.faults = [("status", 500)] * 12
    pauses.clear()
    (get().parent / "file.bin").unlink()
    get(attempts=20)
    assert pauses == first


def test_attempts_that_bring_something_new_are_not_counted(get: Any, site: Site) -> None:
    site.faults = [("break", 1000)] * 10
    assert get(attempts=2).read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_at_the_same_place_is_given_up(get: Any, site: Site) -> None:
    site.ranges = False
    site.faults = [("break", 1000)] * 100
    with pytest.raises(UserError, match="broke off at 1000 of 300000 bytes"):
        get(attempts=3)
    assert len(site.asked) == 3


def test_an_absent_file_is_looked_for_at_the_next_mirror_without_a_pause(
    get: Any, site: Site, serve: Any, pauses: list[float]
) -> None:
    empty = serve()
    empty.files = {}
    assert get(empty.address, site.address).read_bytes() == CONTENT
    assert (len(empty.asked), pauses) == (1, [])


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_wrong_file_is_removed_and_the_next_mirror_asked(get: Any, site: Site, serve: Any, algorithm: str) -> None:
    wrong = serve()
    wrong.files = {"/file.bin": CONTENT[:-1] + b"?"}
    checks = {"sha256": None, "md5": None} | {algorithm: hashlib.new(algorithm, CONTENT).hexdigest()}
    path = get(wrong.address, site.address, **checks)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_wrong_files_everywhere_are_named_and_none_is_kept(get: Any, serve: Any, tmp_path: Path) -> None:
    sites = [serve(), serve()]
    for wrong in sites:
        wrong.files = {"/file.bin": b"<html>Sign in</html>"}
    with pytest.raises(UserError, match=r"checksum mismatch: expected sha256 .*, found") as raised:
        get(*(wrong.address for wrong in sites))
    assert all(f"{wrong.address}/file.bin" in str(raised.value) for wrong in sites)
    assert list((tmp_path / "files").iterdir()) == []


def test_without_a_network_every_address_and_the_way_out_are_named(get: Any, pauses: list[float]) -> None:
    addresses = [nobody(), nobody()]
    with pytest.raises(UserError, match=r"^file\.bin could not be downloaded from .*; write archive: file\.bin$") as e:
        get(*addresses, attempts=3, instead="write archive: file.bin")
    assert all(f"{address}/file.bin" in str(e.value) for address in addresses)
    assert "refused" in str(e.value)
    assert len(pauses) == 4


@pytest.mark.parametrize("address", ["file:///etc", "ftp://127.0.0.1", "/etc"])
def test_only_the_web_is_read(get: Any, address: str) -> None:
    with pytest.raises(UserError, match="not an http or https address"):
        get(address)


@pytest.mark.parametrize("address", ["http://[::1/x", "http://127.0.0.1/\u00e4"])
def test_an_address_that_cannot_be_asked_is_named_and_the_next_one_tried(get: Any, site: Site, address: str) -> None:
    with pytest.raises(UserError, match=rf"^file\.bin could not be downloaded from {re.escape(address)}/file\.bin \("):
        get(address)
    assert get(address, site.address).read_bytes() == CONTENT


def test_a_file_that_moved_to_no_address_is_not_followed(get: Any, site: Site) -> None:
    site.moved = {"/file.bin": "http://[::1/x"}
    with pytest.raises(UserError, match=r"file\.bin could not be downloaded"):
        get(attempts=1)


def test_a_moved_file_is_followed_but_never_to_this_machine(get: Any, site: Site, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(CONTENT)
    site.files["/new.bin"] = CONTENT
    site.moved = {"/file.bin": f"file://{tmp_path}/secret"}
    with pytest.raises(UserError, match="could not be downloaded"):
        get(attempts=1)
    site.moved = {"/file.bin": "/new.bin"}
    assert get().read_bytes() == CONTENT


def test_the_proxy_of_the_environment_is_used(get: Any, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.files["http://dataset.invalid/file.bin"] = CONTENT
    monkeypatch.setenv("http_proxy", site.address)
    assert get("http://dataset.invalid").read_bytes() == CONTENT


def test_progress_is_logged_every_few_seconds(get: Any, caplog: pytest.LogCaptureFixture) -> None:
    ticks = iter(range(0, 10_000, 2))
    with caplog.at_level(logging.INFO):
        get(clock=lambda: float(next(ticks)))
    lines = [record.getMessage() for record in caplog.records]
    assert any("of 0.3 MiB, 0.0 MiB/s" in line for line in lines[:-1])
    assert lines[-1] == "file.bin: downloaded, 0.3 MiB"


FULL = """
import sys
from pathlib import Path
from unlearnable.datasets.download import fetch
from unlearnable.errors import UserError

try:
    fetch([sys.argv[2]], Path(sys.argv[1], "file.bin"), attempts=1)
except UserError as error:
    print(error)
"""


def test_a_full_disk_is_said_to_be_full(site: Site, tmp_path: Path) -> None:
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a full disk needs a mount of its own, and this machine does not let users make one (unshare -rm)")
    mount_and_run = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    child = [sys.executable, "-c", FULL, str(tmp_path), f"{site.address}/file.bin"]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount_and_run, str(tmp_path), *child], capture_output=True, text=True, timeout=60
    )
    assert "the disk is full; free some space and run again" in done.stdout, done.stderr
