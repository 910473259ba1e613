"""Files from the network: from several mirrors, resumed where they broke off, whole and checked or absent."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unlearnable import files
from unlearnable.errors import UserError
from unlearnable.randomness import numpy_generator

log = logging.getLogger(__name__)
ATTEMPTS = 4  # in a row that come no further, before the next mirror's turn
TIMEOUT = 30.0  # seconds without an answer or a byte
LONGEST_PAUSE = 60.0
REPORT_SECONDS = 5.0
BLOCK = 2**18
MIB = 2**20
TEMPORARY = (408, 425, 429)  # HTTP statuses that may pass, as those of the 500s may


class _Passing(Exception):
    """A failure that another attempt at the same address may not meet."""


class _Lasting(Exception):
    """A failure that another attempt at the same address would meet again."""


@dataclass(frozen=True)
class _Tools:
    opener: urllib.request.OpenerDirector
    pause: Callable[[float], None]
    clock: Callable[[], float]


def web() -> urllib.request.OpenerDirector:
    """What opens addresses: http and https, also through the proxies that the environment names, and nothing else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def fetch(
    urls: Sequence[str],
    target: Path,
    sha256: str | None = None,
    md5: str | None = None,
    *,
    instead: str = "put the file there yourself",
    attempts: int = ATTEMPTS,
    opener: urllib.request.OpenerDirector | None = None,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """Download a file, unless it is there already and is the right one.

    What a broken transfer brought stays beside the target. The next attempt, also of another run, goes on from there
    as long as the server says that its file is still the same one.

    Args:
        urls: addresses of the file, of http or https; the next one is tried where one fails for good.
        target: where the file goes; it appears there only when it is whole and has the checksums, and what stood there
            before stays until then.
        sha256: its expected SHA-256, in hexadecimal; None for any.
        md5: its expected MD5, for files of which nothing better is known.
        instead: for the message when all fail: what the user can do without a network.
        attempts: how often in a row to come no further before an address counts as failed.
        opener: what opens addresses.
        pause: waits for some seconds.
        clock: the time in seconds.

    Returns:
        ``target``.

    Raises:
        UserError: no address gave the file, each with its reason; or the disk is full.
    """
    expected = {name: value for name, value in (("sha256", sha256), ("md5", md5)) if value is not None}
    if target.is_file():
        wrong = _mismatch(target, expected)
        if wrong is None:
            return target
        log.warning("%s: %s; it is downloaded again", target, wrong)
    with files.naming_a_full_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    tools = _Tools(opener or web(), pause, clock)
    failures = []
    for url in urls:
        part = _Part(target, url)
        try:
            _complete(part, attempts, tools)
        except _Lasting as failure:
            reason = str(failure)
        else:
            wrong = _mismatch(part.path, expected)
            if wrong is None:
                os.replace(part.path, target)
                part.remove()
                log.info("%s: downloaded, %.1f MiB", target.name, target.stat().st_size / MIB)
                return target
            part.remove()
            reason = wrong
        failures.append(f"{url} ({reason})")
        log.warning("%s: %s", url, reason)
    raise UserError(f"{target.name} could not be downloaded from {', '.join(failures)}; {instead}")


def _mismatch(path: Path, expected: dict[str, str]) -> str | None:
    """What is wrong with a file's checksums, or None."""
    for name, value in expected.items():
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False)).hexdigest()
        if found != value:
            return f"checksum mismatch: expected {name} {value}, found {found}"
    return None


class _Part:
    """What there is of a file so far, and a note of where it came from.

    Attributes:
        url: the address it comes from; a part that came from another one is removed.
        path: the bytes.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.url = url
        self.path = target.with_name(f".{target.name}.part")
        self._note = target.with_name(f".{target.name}.part.json")
        if self._read().get("url") != url:
            self.remove()

    def _read(self) -> dict[str, Any]:
        with suppress(FileNotFoundError, UserError):  # a damaged note is none
            note = files.read_json(self._note)
            if isinstance(note, dict):
                return note
        return {}

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def validator(self) -> str | None:
        """What the server calls the version of the file that this is a part of; None when it does not say."""
        return self._read().get("validator")

    @property
    def total(self) -> int | None:
        """Bytes of the whole file, where the server said so."""
        return self._read().get("total")

    def begin(self, validator: str | None, total: int | None) -> None:
        """Start anew."""
        self.remove()
        with files.naming_a_full_disk(self.path):
            self.path.touch()
        files.write_json(self._note, {"url": self.url, "validator": validator, "total": total})

    def remove(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _complete(part: _Part, attempts: int, tools: _Tools) -> None:
    """Download until the part is the whole file.

    Raises:
        _Lasting: the address does not give it.
    """
    if not part.url.startswith(("http://", "https://")):
        raise _Lasting("not an address of http or https")
    furthest, failed = part.size, 0
    while True:
        try:
            return _attempt(part, tools)
        except _Passing as failure:
            if part.size > furthest:
                furthest, failed = part.size, 0
            failed += 1
            if failed >= attempts:
                raise _Lasting(str(failure)) from failure
            seconds = _waiting(part.url, failed)
            log.warning("%s: %s; trying again in %.1f s", part.url, failure, seconds)
            tools.pause(seconds)


def _waiting(url: str, failed: int) -> float:
    """Seconds before the next attempt: doubled each time, and spread so that files that failed together part."""
    spread = 0.5 + numpy_generator(0, "download", url, failed).random()
    return float(min(LONGEST_PAUSE, spread * 2 ** (failed - 1)))


def _attempt(part: _Part, tools: _Tools) -> None:
    """One request for what is missing.

    Raises:
        _Passing: it failed, and may not another time.
        _Lasting: the address does not give the file.
    """
    if part.validator is None:
        part.remove()  # whether the server's file is still the same could not be known
    size = part.size
    if size and size == part.total:
        return
    headers = {"User-Agent": "unlearnable", "Accept-Encoding": "identity"}
    if size:
        headers |= {"Range": f"bytes={size}-", "If-Range": str(part.validator)}
    with _open(urllib.request.Request(part.url, headers=headers), part, tools.opener) as answer:
        if answer.status == 200:
            part.begin(_validator(answer), _length(answer))
        elif size and answer.status == 206 and _starts_at(answer) == size:
            log.info("%s: going on at %.1f MiB", part.url, size / MIB)
        else:
            part.remove()
            raise _Passing(f"an unexpected answer, HTTP {answer.status}")
        _copy(answer, part, tools.clock)
    if part.total is not None and part.size != part.total:
        raise _Passing(f"the transfer broke off at {part.size} of {part.total} bytes")


def _open(request: urllib.request.Request, part: _Part, opener: urllib.request.OpenerDirector) -> Any:
    """The answer to a request."""
    try:
        return opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        refused = error.code == 416 and part.size > 0  # the part is no beginning of the server's file
        if refused:
            part.remove()
        passing = refused or error.code >= 500 or error.code in TEMPORARY
        raise (_Passing if passing else _Lasting)(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _Passing(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(_named(error)) from error


def _copy(answer: Any, part: _Part, clock: Callable[[], float]) -> None:
    """Append the rest of an answer to the part, with a line in the log every few seconds.

    Raises:
        _Passing: the transfer failed.
        UserError: the disk is full.
    """
    total, start = part.total, part.size
    began = reported = clock()
    with files.naming_a_full_disk(part.path), open(part.path, "ab") as file:
        for block in _blocks(answer):
            file.write(block)
            file.flush()  # what is counted and reported is also kept
            if (now := clock()) - reported >= REPORT_SECONDS:
                reported, done = now, file.tell()
                of = f" of {total / MIB:.1f}" if total else ""
                speed = (done - start) / MIB / (now - began)
                log.info("%s: %.1f%s MiB, %.1f MiB/s", part.url, done / MIB, of, speed)
        os.fsync(file.fileno())


def _blocks(answer: Any) -> Iterator[bytes]:
    """The bytes of an answer, as they come."""
    while True:
        try:
            block: bytes = answer.read1(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(_named(error)) from error
        if not block:
            return
        yield block


def _starts_at(answer: Any) -> int | None:
    """Where the bytes of a partial answer begin in the file."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _length(answer: Any) -> int | None:
    """Bytes of a whole answer."""
    value = answer.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _validator(answer: Any) -> str | None:
    """What names the version of a file byte by byte; a weak ETag does not."""
    etag: str | None = answer.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified: str | None = answer.headers.get("Last-Modified")
    return modified


def _named(error: Exception) -> str:
    """The message of an exception, or its kind where it has none."""
    return str(error) or type(error).__name__
