"""What makes a stage run again: a change of its settings or of the meaning of its code, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import unlearnable
from unlearnable.files import digest
from unlearnable.study.fingerprint import canonical, code_fingerprint

PACKAGE = Path(unlearnable.__file__).parent
SCRIPT = Path(__file__).parents[3] / "scripts" / "noise.py"
ASK = "import sys; from unlearnable.study.fingerprint import code_fingerprint; print(code_fingerprint(*sys.argv[1:]))"


class Copy:
    """A copy of the package and of one script, free to be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.script = folder / "noise.py"
        shutil.copytree(PACKAGE, folder / "unlearnable", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(SCRIPT, self.script)

    def fingerprint(self, *modules: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", ASK, str(self.script), *modules]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name} no longer holds {old!r}: choose another place for this test to edit"
        path.write_text(text.replace(old, new, 1))


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_the_copy_has_the_fingerprint_of_the_original(copy: Copy) -> None:
    assert copy.fingerprint() == code_fingerprint(SCRIPT)
    assert copy.fingerprint("unlearnable.noises.rem.noise") == code_fingerprint(SCRIPT, "unlearnable.noises.rem.noise")


def test_comments_docstrings_and_formatting_do_not_count(copy: Copy) -> None:
    before = copy.fingerprint("unlearnable.noises.rem.noise")
    for path in sorted((copy.folder / "unlearnable").rglob("*.py")):
        text = re.sub(r'"""(?=\w)', '"""Reworded. ', path.read_text())
        path.write_text(text.replace("\n\n", "\n\n\n# a remark\n\n"))
    copy.edit(
        "unlearnable/compute/pgd.py",
        "e = within_pixels(start, pixels)",
        "e = within_pixels(\n        start, (pixels)\n    )  # where it starts",
    )
    assert copy.fingerprint("unlearnable.noises.rem.noise") == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("noise.py", "if __name__", "MORE = 1\nif __name__"),
        ("unlearnable/stages/noise.py", '"noise"', '"noises"'),  # imported by the script
        ("unlearnable/compute/pgd.py", "e + alpha", "e - alpha"),  # by what it imports
        ("unlearnable/datasets/augmentation.py", "ge=8", "ge=9"),  # at third hand
        ("unlearnable/noises/rem/noise.py", "range(s.j)", "range(s.j + 1)"),  # by name
    ],
)
def test_a_change_of_code_counts_wherever_it_is_imported(copy: Copy, name: str, old: str, new: str) -> None:
    before = copy.fingerprint("unlearnable.noises.rem.noise")
    copy.edit(name, old, new)
    assert copy.fingerprint("unlearnable.noises.rem.noise") != before


def test_code_that_is_not_imported_does_not_count(copy: Copy) -> None:
    before = copy.fingerprint("unlearnable.noises.rem.noise")
    for name in ("products/figure", "stages/victim", "noises/tap/noise"):
        path = copy.folder / "unlearnable" / f"{name}.py"
        path.write_text(path.read_text() + "\nMORE = 1\n")
    assert copy.fingerprint("unlearnable.noises.rem.noise") == before
    assert copy.fingerprint("unlearnable.noises.tap.noise") != before


def test_asking_imports_nothing_heavy() -> None:
    ask = ASK + "; assert not {'torch', 'numpy', 'pandas', 'PIL'} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", ask, str(SCRIPT), "unlearnable.noises.rem.noise"], check=True, capture_output=True
    )


# ---- settings

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(settings=st.dictionaries(st.text(max_size=5), plain, max_size=6))
def test_the_order_of_keys_does_not_count(settings: dict[str, object]) -> None:
    backwards = dict(reversed(settings.items()))
    assert repr(canonical(settings)) == repr(canonical(backwards))
    assert canonical(settings) == settings
    assert digest(settings) == digest(backwards)


def test_the_order_of_keys_does_not_count_at_any_depth() -> None:
    a, b = {"x": {"b": 1, "a": [{"d": 1, "c": 2}]}}, {"x": {"a": [{"c": 2, "d": 1}], "b": 1}}
    assert repr(canonical(a)) == repr(canonical(b))


@given(a=plain, b=plain)
def test_other_settings_have_another_digest(a: object, b: object) -> None:
    assert (digest(a) == digest(b)) == (repr(canonical(a)) == repr(canonical(b)))


@pytest.mark.parametrize("value", [{1, 2}, Path("a"), object(), b"bytes"])
def test_what_json_cannot_express_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical({"key": value})


def test_numbers_that_json_does_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"lr": float("inf")})
