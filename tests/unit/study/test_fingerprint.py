"""What makes a stage run again: a change of its settings or of the code that shapes its results, and nothing else."""

from __future__ import annotations

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
from unlearnable.study import fingerprint
from unlearnable.study.fingerprint import canonical, code_fingerprint

PACKAGE = Path(unlearnable.__file__).parent


def modules(*names: str) -> list[str]:
    return [f"unlearnable.{name}" for name in names]


# What the rules of a study ask for: stages, each with what it loads by name, and products.
STAGES = {
    "dataset, parquet": modules("stages.dataset", "datasets.readers.parquet.reader"),
    "dataset, cifar": modules("stages.dataset", "datasets.readers.cifar.reader"),
    "source model, rem": modules("stages.source_model", "noises.rem.noise", "networks.architectures.small_cnn"),
    "source model, sem": modules("stages.source_model", "noises.sem.noise", "networks.architectures.small_cnn"),
    "source model, clean": modules("stages.source_model", "noises.clean.noise", "networks.architectures.small_cnn"),
    "noise, rem": modules("stages.noise", "noises.rem.noise", "networks.architectures.small_cnn"),
    "noise, tap": modules("stages.noise", "noises.tap.noise", "networks.architectures.small_cnn"),
    "noise, ntga": modules("stages.noise", "noises.ntga.noise"),
    "merge": modules("stages.merge_noise"),
    "perturbed": modules("stages.perturbed_dataset"),
    "victim": modules("stages.victim", "networks.architectures.small_cnn", "countermeasures.none"),
    "victim, jpeg": modules("stages.victim", "networks.architectures.small_cnn", "countermeasures.jpeg.countermeasure"),
    "victim, mart": modules("stages.victim", "networks.architectures.small_cnn", "countermeasures.mart.countermeasure"),
    "accuracy table": modules("products.accuracy_table.table"),
    "cost table": modules("products.cost_table.table"),
    "accuracy figure": modules("products.accuracy_figure.figure"),
    "noise sheet": modules("products.noise_sheet.figure"),
}
DATASETS = {"dataset, parquet", "dataset, cifar"}
SOURCES = {"source model, rem", "source model, sem", "source model, clean"}
NOISES = {"noise, rem", "noise, tap", "noise, ntga"}
VICTIMS = {"victim", "victim, jpeg", "victim, mart"}
TABLES = {"accuracy table", "cost table"}
FIGURES = {"accuracy figure", "noise sheet"}
OF_REM = {"source model, rem", "source model, sem", "noise, rem"}
OF_NETWORKS = SOURCES | NOISES | VICTIMS
OF_IMAGES = DATASETS | OF_NETWORKS | {"merge", "perturbed", "noise sheet"}


class Copy:
    """A copy of the package, free to be edited."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "unlearnable"
        shutil.copytree(PACKAGE, self.package, ignore=shutil.ignore_patterns("__pycache__"))

    def fingerprints(self) -> dict[str, str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fingerprint, "FOLDER", self.package)
            forget()
            found = {name: code_fingerprint(*names) for name, names in STAGES.items()}
        forget()
        return found

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.package / name
        text = path.read_text()
        assert old in text, f"{name} no longer holds {old!r}: choose another place for this test to edit"
        path.write_text(text.replace(old, new, 1))


def forget() -> None:
    for cached in (fingerprint.code_fingerprint, fingerprint._read, fingerprint._path_of):
        cached.cache_clear()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """A copy whose edits are taken back by the test that makes them."""
    return Copy(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def original() -> dict[str, str]:
    return {name: code_fingerprint(*names) for name, names in STAGES.items()}


def changed(copy: Copy, original: dict[str, str]) -> set[str]:
    found = copy.fingerprints()
    return {name for name in STAGES if found[name] != original[name]}


def test_the_copy_has_the_fingerprints_of_the_original(copy: Copy, original: dict[str, str]) -> None:
    assert copy.fingerprints() == original
    assert len(set(original.values())) == len(original)


def test_line_ends_do_not_count(copy: Copy, original: dict[str, str]) -> None:
    for path in copy.package.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert copy.fingerprints() == original


def test_comments_docstrings_and_formatting_do_not_count(copy: Copy, original: dict[str, str]) -> None:
    for path in sorted(copy.package.rglob("*.py")):
        text = re.sub(r'"""(?=\w)', '"""Reworded. ', path.read_text())
        path.write_text(text.replace("\n\n", "\n\n\n# a remark\n\n"))
    copy.edit(
        "compute/pgd.py",
        "e = within_pixels(start, pixels)",
        "e = within_pixels(\n        start, (pixels)\n    )  # where it starts",
    )
    assert changed(copy, original) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        # the shell
        ("jobs/leases.py", "log.info(", "log.warning(", set()),
        ("jobs/job.py", "handlers: list", "more = 1\n        handlers: list", set()),
        ("jobs/long_job.py", "MARGIN = 60.0", "MARGIN = 61.0", set()),
        ("tools/plan/calibration.py", "SECONDS_EACH = 1.5", "SECONDS_EACH = 2.5", set()),
        ("study/schema.py", "class Runtime", "MORE = 1\n\n\nclass Runtime", set()),
        ("study/fingerprint.py", "SCIENCE = (", "MORE = 1\nSCIENCE = (", set()),
        # leaves
        ("errors.py", "class UserError", "MORE = 1\n\n\nclass UserError", set()),
        ("progress.py", "INTERVAL = 10.0", "INTERVAL = 11.0", set()),
        ("registry.py", "PACKAGE = ", "MORE = 1\nPACKAGE = ", set()),
        ("settings.py", "cutoff=0.5", "cutoff=0.6", set()),
        ("bounds.py", "/ 255 * math.sqrt", "/ 254 * math.sqrt", NOISES | SOURCES | {"merge", "perturbed"}),
        ("files.py", "return hashlib.file_digest", "pass\n        return hashlib.file_digest", set(STAGES)),
        # datasets, networks
        ("datasets/readers/parquet/reader.py", "AT_ONCE = 2**16", "AT_ONCE = 2**15", {"dataset, parquet"}),
        ("datasets/readers/cifar/settings.py", '"cifar10", "cifar100"', '"cifar10"', {"dataset, cifar"}),
        ("datasets/settings.py", "int = Field(ge=8, le=1024", "int = Field(ge=9, le=1024", DATASETS | {"perturbed"}),
        ("datasets/protected.py", "percent / 100", "percent / 100.0", {"perturbed", "noise sheet"}),
        ("datasets/split.py", 'kind="stable"', 'kind="mergesort"', OF_IMAGES),
        ("networks/architectures/small_cnn.py", "WIDTH = 16", "WIDTH = 17", OF_NETWORKS - {"noise, ntga"}),
        ("networks/architectures/resnet18.py", "models.resnet18", "models.resnet34", set()),
        ("networks/folding.py", "pixels / 255 - 0.5", "pixels / 255", OF_NETWORKS),
        # compute, training
        ("compute/pgd.py", "e + alpha", "e - alpha", OF_NETWORKS),
        ("training/fit.py", "training.momentum, training", "0.9, training", SOURCES | VICTIMS),
        ("training/accuracy.py", "BATCH = 250", "BATCH = 251", VICTIMS),
        # noises, counter-measures
        ("noises/rem/noise.py", "range(s.j)", "range(s.j + 1)", OF_REM),
        ("noises/sem/noise.py", "ascent_steps=0", "ascent_steps=1", {"source model, sem"}),
        ("noises/tap/noise.py", "% problem.classes", "% (problem.classes - 1)", {"noise, tap"}),
        ("noises/ntga/kernel.py", "SMALL = 1e-3", "SMALL = 1e-4", {"noise, ntga"}),
        ("countermeasures/jpeg/countermeasure.py", '"JPEG"', '"jpeg"', {"victim, jpeg"}),
        ("countermeasures/jpeg/settings.py", "le=100", "le=99", {"victim, jpeg"}),
        ("countermeasures/_adversarial.py", "STEP = 0.255", "STEP = 0.25", {"victim, mart"}),
        # stages, products
        ("stages/source_model.py", "if ranks.rank:", "if ranks.rank > 0:", SOURCES),
        ("stages/merge_noise.py", "largest = total = 0", "total = largest = 0", {"merge"}),
        ("stages/settings/victim.py", "steps: int = Field(40_000", "steps: int = Field(30_000", VICTIMS),
        ("products/cost_table/table.py", "3600", "3601", {"cost table"}),
        ("products/table.py", "MANY_COLUMNS = 6", "MANY_COLUMNS = 7", TABLES),
        ("products/figure.py", "LINE = 0.16", "LINE = 0.17", FIGURES),
        # what only people read, in what counts
        ("noises/rem/settings.py", "ascent steps of the adversary", "steps of the adversary", set()),
        ("stages/merge_noise.py", "not every image has exactly one noise", "which it should not", set()),
        ("compute/engine.py", "at most %d images at once", "%d images at once at most", set()),
    ],
)  # fmt: skip
def test_an_edit_makes_exactly_these_stages_run(
    shared: Copy, original: dict[str, str], name: str, old: str, new: str, expected: set[str]
) -> None:
    before = (shared.package / name).read_text()
    shared.edit(name, old, new)
    try:
        assert changed(shared, original) == expected
    finally:
        (shared.package / name).write_text(before)


@pytest.mark.parametrize(
    "name",
    [
        *("datasets/readers/mine/reader.py", "networks/architectures/mine.py", "noises/mine/noise.py"),
        *("countermeasures/mine/countermeasure.py", "products/mine/table.py"),
    ],
)
def test_an_extension_makes_nothing_run(shared: Copy, original: dict[str, str], name: str) -> None:
    added = shared.package / name
    added.parent.mkdir(exist_ok=True)
    for path in (added, added.with_name("settings.py"), added.with_name("__init__.py")):
        if not path.exists():
            path.write_text("MORE = 1\n")
    assert changed(shared, original) == set()


def test_a_module_may_move_and_change_its_name(copy: Copy, original: dict[str, str]) -> None:
    package = copy.package
    (package / "compute/pgd.py").rename(package / "training/ascent.py")
    (package / "datasets/shards.py").rename(package / "datasets/pieces.py")
    for path in package.rglob("*.py"):
        text = path.read_text().replace("unlearnable.compute.pgd", "unlearnable.training.ascent")
        text = text.replace("unlearnable.datasets.shards", "unlearnable.datasets.pieces")
        text = text.replace("from unlearnable.datasets import shards\n", "from unlearnable.datasets import pieces\n")
        path.write_text(re.sub(r"\bshards\.(?=load|identity|read|write)", "pieces.", text))
    assert changed(copy, original) == set()


def test_asking_imports_nothing_heavy() -> None:
    ask = "import sys; from unlearnable.study.fingerprint import code_fingerprint; code_fingerprint(*sys.argv[1:]); "
    heavy = "assert not {'torch', 'numpy', 'pandas', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", ask + heavy, *STAGES["noise, rem"]], check=True, capture_output=True)


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
