"""Downloads: from several mirrors, resumed where they broke off; a file is complete and checked, or absent."""

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
from unlearnable.errors import UserError, printable
from unlearnable.randomness import numpy_generator

log = logging.getLogger(__name__)
ATTEMPTS = 4  # in a row without progress, before the next mirror is tried
TIMEOUT = 30.0  # seconds without an answer or a byte
LONGEST_PAUSE = 60.0
REPORT_SECONDS = 5.0
BLOCK = 2**18
MIB = 2**20
WORDS = 200  # characters of a server's words that are shown
TEMPORARY = (408, 425, 429)  # HTTP statuses that may be temporary, like all from 500 on


class _Passing(Exception):
    """A temporary failure: another attempt at the same address may succeed."""


class _Lasting(Exception):
    """A lasting failure: another attempt at the same address would fail, too."""


@dataclass(frozen=True)
class _Tools:
    opener: urllib.request.OpenerDirector
    pause: Callable[[float], None]
    clock: Callable[[], float]


def web() -> urllib.request.OpenerDirector:
    """An opener for http and https only, which uses the proxies named in the environment."""
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
    """Download a file, unless it exists and has the expected checksums.

    The bytes of a broken transfer stay beside the target. The next attempt, also in another run, continues from there
    as long as the server states that its file has not changed.

    Args:
        urls: http or https addresses of the file; when one fails for good, the next one is tried.
        target: path of the file; it is replaced only once the download is complete and has the expected checksums.
        sha256: its expected SHA-256, in hexadecimal; None for any.
        md5: its expected MD5, for files without a published SHA-256.
        instead: what the user can do without a network; added to the message if all addresses fail.
        attempts: number of attempts in a row without progress before an address counts as failed.
        opener: opens addresses.
        pause: waits for some seconds.
        clock: the time in seconds.

    Returns:
        ``target``.

    Raises:
        UserError: all addresses failed, each with its reason; or as for ``files.naming_disk_faults``.
    """
    expected = {name: value for name, value in (("sha256", sha256), ("md5", md5)) if value is not None}
    if target.is_file():
        wrong = _mismatch(target, expected)
        if wrong is None:
            return target
        log.warning("%s: %s; downloading it again", target, wrong)
    with files.naming_disk_faults(target):
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
                with files.naming_disk_faults(target):
                    files.rename(part.path, target)
                    part.remove()
                log.info("%s: downloaded, %.1f MiB", target.name, target.stat().st_size / MIB)
                return target
            part.remove()
            reason = wrong
        failures.append(f"{url} ({reason})")
        log.warning("%s: %s", url, reason)
    raise UserError(f"{target.name} could not be downloaded from {', '.join(failures)}; {instead}")


def _mismatch(path: Path, expected: dict[str, str]) -> str | None:
    """What is wrong with a file's checksums; None if nothing is."""
    for name, value in expected.items():
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False)).hexdigest()
        if found != value:
            return f"checksum mismatch: expected {name} {value}, found {found}"
    return None


class _Part:
    """The part of a file downloaded so far, and a note of its origin.

    Attributes:
        url: its address; a part from another address is removed.
        path: file of its bytes.
    """

    def __init__(self, target: Path, url: str) -> None:
        self.url = url
        self.path = target.with_name(f".{target.name}.part")
        self._note = target.with_name(f".{target.name}.part.json")
        if self._read().get("url") != url:
            self.remove()

    def _read(self) -> dict[str, Any]:
        with suppress(FileNotFoundError, UserError):  # ignore a damaged note
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
        """The server's name for the version of the file; None if it gave none."""
        return self._read().get("validator")

    @property
    def total(self) -> int | None:
        """Bytes of the whole file; None if the server did not state them."""
        return self._read().get("total")

    def begin(self, validator: str | None, total: int | None) -> None:
        """Start again from the first byte."""
        self.remove()
        with files.naming_disk_faults(self.path):
            self.path.touch()
        files.write_json(self._note, {"url": self.url, "validator": validator, "total": total})

    def remove(self) -> None:
        """Forget everything."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _complete(part: _Part, attempts: int, tools: _Tools) -> None:
    """Download until the part is complete.

    Raises:
        _Lasting: the address does not provide it.
    """
    if not part.url.startswith(("http://", "https://")):
        raise _Lasting("not an http or https address")
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
    """Seconds before the next attempt: doubled each time, and randomised so that attempts spread out."""
    spread = 0.5 + numpy_generator(0, "download", url, failed).random()
    return float(min(LONGEST_PAUSE, spread * 2 ** (failed - 1)))


def _attempt(part: _Part, tools: _Tools) -> None:
    """One request for the missing bytes.

    Raises:
        _Passing: it failed, but another attempt may succeed.
        _Lasting: the address does not provide the file.
    """
    if part.validator is None:
        part.remove()  # there is no way to know whether the server's file has changed
    size = part.size
    if size and size == part.total:
        return
    headers = {"User-Agent": "unlearnable", "Accept-Encoding": "identity"}
    if size:
        headers |= {"Range": f"bytes={size}-", "If-Range": str(part.validator)}
    with _open(part, headers, tools.opener) as answer:
        if answer.status == 200:
            part.begin(_validator(answer), _length(answer))
        elif size and answer.status == 206 and _starts_at(answer) == size:
            log.info("%s: continuing at %.1f MiB", part.url, size / MIB)
        else:
            part.remove()
            raise _Passing(f"an unexpected answer, HTTP {answer.status}")
        _copy(answer, part, tools.clock)
    if part.total is not None and part.size != part.total:
        raise _Passing(f"the transfer broke off at {part.size} of {part.total} bytes")


def _open(part: _Part, headers: dict[str, str], opener: urllib.request.OpenerDirector) -> Any:
    """The answer to a request for a part."""
    try:
        return opener.open(urllib.request.Request(part.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        refused = error.code == 416 and part.size > 0  # the part is not a prefix of the server's file
        if refused:
            part.remove()
        passing = refused or error.code >= 500 or error.code in TEMPORARY
        raise (_Passing if passing else _Lasting)(f"HTTP {error.code} {_words(error.reason)}") from error
    except urllib.error.URLError as error:
        raise _Passing(_words(str(error.reason))) from error
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(_named(error)) from error
    except ValueError as error:  # the address, or one that it redirects to, is none
        raise _Lasting(_named(error)) from error


def _copy(answer: Any, part: _Part, clock: Callable[[], float]) -> None:
    """Append the rest of an answer to the part, and log a line every few seconds.

    Raises:
        _Passing: the transfer failed.
        UserError: as for ``files.naming_disk_faults``.
    """
    total, start = part.total, part.size
    began = reported = clock()
    with files.naming_disk_faults(part.path), open(part.path, "ab") as file:
        for block in _blocks(answer):
            file.write(block)
            file.flush()  # keep what is reported
            if (now := clock()) - reported >= REPORT_SECONDS:
                reported, done = now, file.tell()
                of = f" of {total / MIB:.1f}" if total else ""
                speed = (done - start) / MIB / (now - began)
                log.info("%s: %.1f%s MiB, %.1f MiB/s", part.url, done / MIB, of, speed)
        os.fsync(file.fileno())


def _blocks(answer: Any) -> Iterator[bytes]:
    """The bytes of an answer, as they arrive."""
    while True:
        try:
            block: bytes = answer.read1(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(_named(error)) from error
        if not block:
            return
        yield block


def _starts_at(answer: Any) -> int | None:
    """Offset in the file of the first byte of a partial answer."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _length(answer: Any) -> int | None:
    """Bytes of a whole answer."""
    value = answer.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _validator(answer: Any) -> str | None:
    """A header that identifies the exact version of a file; a weak ETag does not."""
    etag: str | None = answer.headers.get("ETag")
    if etag and not etag.startswith("W/"):
        return etag
    modified: str | None = answer.headers.get("Last-Modified")
    return modified


def _named(error: Exception) -> str:
    """The message of an exception; if it is empty, the exception's type."""
    return _words(str(error)) or type(error).__name__


def _words(text: str) -> str:
    """Words that may be a server's, safe to print and not too many."""
    return printable(text)[:WORDS]
