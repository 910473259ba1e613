"""Files that are whole or absent, on a disk that is full as well."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unlearnable import arrays, files
from unlearnable.errors import UserError, regenerate

from .irregular import KINDS, irregular


def test_a_file_appears_under_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    with files.atomic(path) as file:
        file.write(b"new")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("before", [None, b"old"])
def test_when_the_writer_fails_nothing_changes(
    tmp_path: Path, error: type[BaseException], before: bytes | None
) -> None:
    path = tmp_path / "file"
    if before is not None:
        path.write_bytes(before)

    def write() -> None:
        with files.atomic(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert (path.read_bytes() if path.exists() else None) == before
    assert os.listdir(tmp_path) == ([] if before is None else ["file"])


def test_what_killed_writers_left_of_a_file_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from unlearnable import files\n"
        "with files.atomic(sys.argv[1]) as file:\n    file.write(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a[1].npy"
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    others = {".a[1].npy.npy.123.part", ".a1.npy.123.part", ".a[1].npy.part"}  # of other files, or to be gone on with
    for name in others:
        (tmp_path / name).touch()
    assert len(os.listdir(tmp_path)) == 4
    arrays.write_array(path, np.zeros(3))
    assert set(os.listdir(tmp_path)) == others | {"a[1].npy"}


def test_a_new_file_replaces_the_old_one(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    files.write_json(tmp_path / "a.json", {"b": 2, "a": [1.5, None]})
    assert files.read_json(tmp_path / "a.json") == {"a": [1.5, None], "b": 2}
    assert os.listdir(tmp_path) == ["a.json"]


def test_numbers_that_json_does_not_have_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"a": 1}{'])
def test_what_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json: not a JSON file"):
        files.read_json(tmp_path / "a.json")


def test_arrays_survive_their_file_and_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    array = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    arrays.write_array(path, array)
    assert np.array_equal(arrays.read_array(path), array)
    content = path.read_bytes()
    for damaged in (b"", content[:5], content[:70], content[:-1], b"x" + content[1:], b"garbage" * 50):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.npy: not a complete \.npy array"):
            arrays.read_array(path)


def test_pickles_are_neither_written_nor_read(tmp_path: Path) -> None:
    objects = np.array([{}, []], dtype=object)
    with pytest.raises(ValueError, match="an array of objects would be a pickle"):
        arrays.write_array(tmp_path / "a.npy", objects)
    np.save(tmp_path / "b.npy", objects, allow_pickle=True)
    with pytest.raises(UserError, match=r"b\.npy: not a complete"):
        arrays.read_array(tmp_path / "b.npy")


KNOWN = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of abc: FIPS 180-2, appendix B.1


def test_files_are_compared_with_the_hashes_that_their_job_recorded(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/abc", "a/abd"):
        (tmp_path / name).write_bytes(b"abc")
    assert files.hashes(tmp_path / "a/abc") == {"abc": KNOWN}
    manifest = tmp_path / "m.json"
    files.write_json(manifest, {"rows": 1, "files": {"a/abc": KNOWN, "a/abd": "0" * 64, "gone": KNOWN}})
    files.check_files(manifest, tmp_path / "a/abc")
    again = f"; {regenerate(manifest)}"
    wrong = f"{tmp_path}/a/abd: checksum mismatch: expected sha256 {'0' * 64}, found {KNOWN}{again}"
    for path, message in {
        "a/abd": wrong,
        "gone": f"{tmp_path}/gone: the file is missing{again}",
        "a": f"{manifest}: has no checksum for {tmp_path}/a{again}",
    }.items():
        with pytest.raises(UserError) as raised:
            files.check_files(manifest, tmp_path / "a/abc", tmp_path / path)
        assert str(raised.value) == message


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    with irregular(path, kind) as called:
        message = rf"a: {called}, not a regular file"
        for read in (files.read_json, files.sha256, arrays.read_array, arrays.map_array):
            with pytest.raises(UserError, match=message):
                read(path)
        assert files.damage(path, KNOWN) == f"{called}, not a regular file"


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("abc")
    assert files.sha256(tmp_path / "link") == KNOWN


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with open(path, "wb") as file:
        file.truncate(2**40)  # takes no space
    with pytest.raises(
        UserError, match=r"a\.json: 1,099,511,627,776 bytes, more than .* may have; delete .*a\.json and"
    ):
        files.read_json(path)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a": ' * 100_000, b"[" * 900 + b"]" * 900, b"1" * 5000])
def test_json_that_python_does_not_unpack_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json: (not a JSON file|damaged or edited)"):
        files.read_json(path)
    nested: Any = []
    for _ in range(500):
        nested = [nested]
    path.write_text(json.dumps({"a": nested, "seal": "0"}))
    with pytest.raises(UserError, match=r"a\.json: (not a JSON file|damaged or edited)"):
        files.read_json(path)


@pytest.mark.parametrize("listed", [["a"], {"a": 1}, "a"])
def test_checksums_of_another_kind_are_refused(tmp_path: Path, listed: Any) -> None:
    files.write_json(tmp_path / "m.json", {"files": listed})
    with pytest.raises(UserError, match=r"m\.json: 'files' is not a list of files with their checksums; delete "):
        files.check_files(tmp_path / "m.json", tmp_path / "a")


def flipped(content: bytes) -> Iterator[bytes]:
    """The same bytes with one bit wrong, for each of their bits."""
    for place in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        yield bytes(damaged)


def test_every_flipped_bit_of_a_json_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"b": [0.1, 1e-9, -3, None, True], "a": {"10": "x y", "9": "ü"}}
    files.write_json(path, content)
    assert files.read_json(path) == content
    for damaged in flipped(path.read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(
            UserError,
            match=r"a\.json: (not a JSON file|damaged or edited|has no seal).*; delete .*a\.json and regenerate it: ",
        ):
            files.read_json(path)


@pytest.mark.parametrize("content", ["[]", "1", "{}", '{"a": 1}', '{"seal": 1}', '{"a": 1, "seal": null}'])
def test_a_json_file_without_its_seal_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(
        UserError, match=r"a\.json: (damaged or edited: its seal does not fit|has no seal: an earlier version)"
    ):
        files.read_json(tmp_path / "a.json")


def test_the_seal_does_not_depend_on_the_order_or_the_kind_of_keys(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"x": {10: 1, 9: (2,)}, "w": 0})
    files.write_json(tmp_path / "b.json", {"w": 0, "x": {"9": [2], "10": 1}})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert files.read_json(tmp_path / "a.json") == {"w": 0, "x": {"9": [2], "10": 1}}


# ---- a disk that is really full: 64 KiB in memory, mounted where only the child process sees it

WRITERS = {
    "bytes": "files.write_json(path, {'x': 'x' * 200_000})",
    "json": "files.write_json(path, {'x': list(range(50_000))})",
    "array": "arrays.write_array(path, np.zeros(200_000, np.int8))",
    "checkpoint": "Loop(path)._save({'weights': torch.zeros(50_000)})",
    "weights": "models.save_weights(torch.nn.Linear(200, 250), path)",
    "table": "tables.save_table(TableFiles(*[path] * 3), numbers, numbers, '')",
    "pdf": "figures.save_figure(FigureFiles(*[path] * 3), figure, 100)",
    "svg": "figures.save_figure(FigureFiles(elsewhere, path, path), figure, 100)",
    "png": "figures.save_figure(FigureFiles(elsewhere, elsewhere, path), figure, 100)",
    "history": "write_history(path, [{'step': n, 'loss': n**0.5} for n in range(50_000)])",
    "parquet": "protected_parquet.write_parquet(path.parent, split, split.labels > 0, 1000)",
}
CHILD = """
import json, os, sys
from pathlib import Path
import matplotlib, numpy as np, pandas as pd, torch
from unlearnable import arrays, files
from unlearnable.datasets import protected_parquet
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.networks import build as models
from unlearnable.products import figure as figures, table as tables
from unlearnable.products.product import FigureFiles, TableFiles
from unlearnable.training.fit import write_history
from unlearnable.training.loop import Loop

images = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 1), np.uint8)
split = Split(images, np.arange(100) % 2, ["a", "b"])
numbers = pd.DataFrame({"x": np.arange(50_000)})
figure = matplotlib.figure.Figure()
figure.subplots().imshow(np.random.default_rng(0).random((300, 300)), interpolation="nearest")
writers = json.loads(sys.argv[2])
elsewhere = sys.argv[1] + ".elsewhere"  # beside the small disk
found = {}
for name, statement in writers.items():
    path = Path(sys.argv[1], "train-00000-of-00001.parquet")
    path.write_bytes(b"old" * 1000)
    try:
        exec(statement)
        error = None
    except BaseException as raised:
        error = raised
    kind = f"{type(error).__name__}: {error}"
    found[name] = [isinstance(error, UserError), kind, path.read_bytes() == b"old" * 1000, os.listdir(path.parent)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def on_a_full_disk(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each writer did there: a UserError or not, the error, whether the old file is intact, the files."""
    folder = tmp_path_factory.mktemp("full")
    try:
        subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(folder)],
            check=True,
            capture_output=True,
            timeout=60,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a full disk needs a mount of its own, and this machine does not let users make one (unshare -rm)")
    mount_and_run = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    child = [sys.executable, "-c", CHILD, str(folder), json.dumps(WRITERS)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount_and_run, str(folder), *child], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("writer", WRITERS)
def test_on_a_full_disk_the_message_says_so_and_the_old_file_is_intact(
    writer: str, on_a_full_disk: dict[str, Any]
) -> None:
    is_user_error, error, intact, listing = on_a_full_disk[writer]
    assert intact, error
    assert listing == ["train-00000-of-00001.parquet"], error
    assert is_user_error, error
    assert "the disk is full" in error


def test_a_file_that_may_not_become_so_large_is_named(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from unlearnable import files; from unlearnable.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    files.write_json(sys.argv[1], {'x': 'x' * 2000})\nexcept UserError as error:\n    print(error)"
    )
    path = tmp_path / "a.json"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.stdout.startswith(f"{path}: larger than a file may be on this disk or under this limit (ulimit -f); ")
    assert os.listdir(tmp_path) == []


def growing(path: Path) -> None:
    with arrays.growing(path, path.with_name(".a.part"), (3,), np.int8, None) as array:
        array.write(np.zeros(3, np.int8))


RENAMING = {"atomic": lambda path: files.write_json(path, {"a": 1}), "growing": growing}


@pytest.mark.parametrize("writer", RENAMING)
def test_a_new_name_is_on_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str) -> None:
    path, synced = tmp_path / "a", []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.path.samestat(os.fstat(descriptor), tmp_path.stat()), path.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    RENAMING[writer](path)
    assert synced == [(False, False), (True, True)]  # the bytes, then the name


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO])
def test_a_file_system_that_cannot_sync_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def sync(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", sync)
    path = tmp_path / "a.json"
    if number == errno.EIO:  # but one that loses data is
        with pytest.raises(
            UserError, match=rf"^{path}: the disk or its connection fails \(input/output error\); check"
        ):
            files.write_json(path, {"a": 1})
    else:
        files.write_json(path, {"a": 1})
        assert files.read_json(path) == {"a": 1}


@pytest.mark.parametrize("read", [files.sha256, files.read_json])
def test_a_disk_that_cannot_be_read_is_an_error_of_one_line(read: Callable[[str], object]) -> None:
    unreadable = "/proc/self/mem"  # its first page is not mapped: reading it is a real input/output error
    if not os.path.exists(unreadable):
        pytest.skip("a file that gives input/output errors needs Linux's /proc")
    with pytest.raises(UserError, match=f"^{unreadable}: the disk or its connection fails"):
        read(unreadable)


def test_a_file_that_cannot_be_read_while_another_is_written_is_the_one_that_is_named(tmp_path: Path) -> None:
    def write() -> None:
        with files.atomic(tmp_path / "copy"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), "elsewhere/image.png")

    with pytest.raises(UserError, match=r"^elsewhere/image\.png: the disk or its connection fails"):
        write()
    assert os.listdir(tmp_path) == []


READ_ONLY = """
import json, sys
from pathlib import Path
import numpy as np
from unlearnable import arrays, files
from unlearnable.errors import UserError

path = Path(sys.argv[1], "a")
for write in (
    lambda: files.write_json(path, {}),
    lambda: files.write_json(path / "new/folder", {}),
    lambda: arrays.growing(path, path, (1,), np.int8, None).__enter__(),
):
    try:
        write()
    except UserError as error:
        print(error)
"""


def test_a_disk_that_is_read_only_is_said_to_be(tmp_path: Path) -> None:
    mount = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "ro", "none", str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this needs a mount of its own, and this machine does not let users make one (unshare -rm)")
    child = [sys.executable, "-c", READ_ONLY, str(tmp_path)]
    mount_and_run = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount_and_run, str(tmp_path), *child], capture_output=True, text=True, timeout=60
    )
    why = "the disk is mounted read-only; make it writable and run again, nothing was lost"
    assert done.stdout.splitlines() == [f"{tmp_path}/{name}: {why}" for name in ("a", "a", "a")], done.stderr
