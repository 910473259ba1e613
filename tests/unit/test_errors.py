"""What is said to a user: in one line, and so that no terminal obeys it."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlearnable.errors import UserError, disk_fault, printable, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", "a b"),
        ("日本語 é ü", "日本語 é ü"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m", r"\x9b31m"),  # the same, as one character
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("a\u2028b", r"a\u2028b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),  # shows the rest from right to left
        (os.fsdecode(b"\xff\xe9.png"), r"\xff\xe9.png"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_a_terminal_would_obey_or_cannot_show_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert str(UserError(text)) == printable_lines(text)


@given(st.text(st.characters()))
def test_any_text_becomes_one_line_that_can_be_written(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode("utf-8").decode("utf-8") == printable(shown) == shown


def test_a_message_of_several_lines_keeps_them() -> None:
    assert str(UserError("one\ntwo\x1b")) == "one\n" + r"two\x1b"


def test_a_fault_of_the_disk_names_the_file() -> None:
    assert disk_fault(OSError(errno.EIO, "Input/output error", "a"), "b") == disk_fault(OSError(errno.EIO, ""), "b")
    named = disk_fault(OSError(errno.EROFS, "Read-only file system", "some/file"))
    assert named == "some/file: the disk is mounted read-only; make it writable and run again, nothing was lost"
    assert disk_fault(OSError(errno.EROFS, "Read-only file system")) is None
    assert disk_fault(OSError(errno.ENOENT, "No such file or directory", "some/file")) is None
    assert disk_fault(OSError("without a number"), "some/file") is None
