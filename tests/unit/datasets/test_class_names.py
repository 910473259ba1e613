"""Class names that data carries, and what is said where the description contradicts them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unlearnable.datasets import protected_parquet
from unlearnable.datasets.class_names import require_official_order, require_same, require_wordnet_order
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError

ORDER = ["cat", "dog", "owl"]
OTHER = ["dog", "cat", "owl"]
BOTH = r"class 0 is 'dog', not 'cat': its classes are \[dog, cat, owl\], and .* key classes is \[cat, dog, owl\]"
NFC, NFD = (normalize(form, "Käfer") for form in ("NFC", "NFD"))

Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def write(tmp_path: Path, encode_png: Callable[[Array], bytes], make_split: Callable[..., Split]) -> Write:
    """``write(metadata)``: two Parquet files, of which that of the test split has the metadata, as JSON by key."""

    def written(metadata: dict[str, Any]) -> Path:
        split = make_split(6)
        table = pa.table({"image": [encode_png(image) for image in split.images[:]], "label": split.labels})
        (tmp_path / "set").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "set" / "train.parquet")
        described = {key: value if isinstance(value, bytes) else json.dumps(value) for key, value in metadata.items()}
        pq.write_table(table.replace_schema_metadata(described), tmp_path / "set" / "test.parquet")
        return tmp_path / "set"

    return written


@pytest.fixture
def read(read_dataset: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **changes: read_dataset(**({"kind": "parquet", "root": "set", "channels": 1} | changes))


def hugging_face(names: Any, column: str = "label") -> dict[str, Any]:
    return {"huggingface": {"info": {"features": {column: {"names": names, "_type": "ClassLabel"}}}}}


CARRIED = {"hugging face": hugging_face, "pandas": lambda names: {"PANDAS_ATTRS": {"classes": names}}}


@pytest.mark.parametrize("kind", CARRIED)
def test_names_in_a_parquet_file_in_another_order_are_refused_with_both_orders(
    kind: str, write: Write, read: Callable[..., Any]
) -> None:
    write(CARRIED[kind](OTHER))
    with pytest.raises(UserError, match=rf"/set/test\.parquet: {BOTH}"):
        read()


@pytest.mark.parametrize("kind", CARRIED)
def test_names_in_a_parquet_file_in_the_same_order_are_accepted(
    kind: str, write: Write, read: Callable[..., Any]
) -> None:
    write(CARRIED[kind](ORDER))
    assert read()[0].classes == ORDER


def test_names_of_the_column_that_is_read_count(write: Write, read: Callable[..., Any]) -> None:
    write(hugging_face(OTHER, column="another"))
    read()
    for path in (write(hugging_face(OTHER, column="fine"))).glob("*.parquet"):
        table = pq.read_table(path)
        renamed = table.rename_columns(["image", "fine"])
        pq.write_table(renamed.replace_schema_metadata(table.schema.metadata), path)
    with pytest.raises(UserError, match=BOTH):
        read(label_column="fine")


@pytest.mark.parametrize(
    "metadata",
    [
        {"huggingface": b"\xff not JSON"},
        {"huggingface": b"[" * 100_000},
        {"huggingface": {"info": {"features": [1]}}, "PANDAS_ATTRS": [OTHER]},
        hugging_face({"0": "dog"}) | {"PANDAS_ATTRS": {"classes": [1, 2, 3]}},
        {"pandas": {"columns": []}},
    ],
)
def test_metadata_without_names_is_no_contradiction(
    metadata: dict[str, Any], write: Write, read: Callable[..., Any]
) -> None:
    write(metadata)
    assert len(read()[1].labels) == 6


def test_our_own_protected_files_are_read_under_their_own_names_only(
    tmp_path: Path, make_split: Callable[..., Split], read: Callable[..., Any]
) -> None:
    (tmp_path / "set").mkdir()
    protected_parquet.write_parquet(tmp_path / "set", make_split(6), np.ones(6, bool), 6)
    (tmp_path / "set/test.parquet").write_bytes((tmp_path / "set/train-00000-of-00001.parquet").read_bytes())
    read()
    with pytest.raises(UserError, match=r"train-00000-of-00001\.parquet: class 0 is 'cat', not 'dog'"):
        read(classes=OTHER)


@pytest.mark.parametrize("listed", ["dog\ncat\nowl\n", "0 dog\n1 cat\n2 owl\n", "\ufeff1: dog\r\n2: cat\r\n\r\n3: owl"])
def test_a_list_of_names_beside_the_data_in_another_order_is_refused(
    listed: str, write: Write, read: Callable[..., Any]
) -> None:
    (write({}) / "classes.txt").write_text(listed, encoding="utf-8", newline="")
    read(classes=OTHER)
    with pytest.raises(UserError, match=rf"/set/classes\.txt: {BOTH}"):
        read()


def test_a_list_of_names_counts_beside_class_folders_too(
    tmp_path: Path, read_dataset: Callable[..., Any], encode_png: Callable[[Array], bytes]
) -> None:
    for name in ORDER:
        (tmp_path / "set" / name).mkdir(parents=True)
        for row in range(10):
            (tmp_path / "set" / name / f"{row}.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    (tmp_path / "set/classes.txt").write_text("\n".join(OTHER))
    with pytest.raises(UserError, match=rf"/set/classes\.txt: {BOTH}"):
        read_dataset(kind="folder", root="set")
    (tmp_path / "set/classes.txt").write_text("\n".join(ORDER))
    assert len(read_dataset(kind="folder", root="set")[0].labels) == 24


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"c\xe4t\ndog\nowl\n", "not a readable list of class names in UTF-8"),
        (b"a" * (2**20 + 1), "1,048,577 bytes, more than the 1,048,576"),
    ],
)
def test_a_list_that_is_none_is_named(content: bytes, message: str, write: Write, read: Callable[..., Any]) -> None:
    (write({}) / "classes.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"/set/classes\.txt: {message}"):
        read()


def test_the_same_name_may_be_typed_in_two_normal_forms() -> None:
    assert NFC != NFD
    require_same(["cat", NFD], ["cat", NFC], "here")
    require_same(["cat", NFC], ["cat", NFD], "here")
    with pytest.raises(UserError, match="here: class 0 is 'Käfer', not 'cat'"):
        require_same([NFC, "cat"], ["cat", NFD], "here")


def test_of_long_orders_the_part_from_the_first_difference_on_is_shown() -> None:
    names = [f"c{number}" for number in range(200)]
    other = [*names[:7], *reversed(names[7:])]
    with pytest.raises(UserError) as refused:
        require_same(other, names, "here")
    said = str(refused.value)
    assert said.startswith("here: class 7 is 'c199', not 'c7': its classes are [..., c199, c198, ")
    assert "[..., c7, c8, c9, " in said
    assert len(said) < 300


def test_names_cannot_write_to_the_terminal() -> None:
    with pytest.raises(UserError) as refused:
        require_same(["\x1b[2Jcat", "dog"], ["cat", "dog"], "here")
    assert str(refused.value).isprintable()


def test_another_number_of_names_is_named() -> None:
    with pytest.raises(UserError, match=r"here: it has 2 classes, but the description has 3: .*\[cat, dog\].*\[cat"):
        require_same(["cat", "dog"], ORDER, "here")


def test_official_names_must_have_their_official_order_and_others_may_be_anything() -> None:
    require_official_order(ORDER, ORDER, "here")
    require_official_order(ORDER, ["one", "two", "three"], "here")
    with pytest.raises(UserError, match=BOTH):
        require_official_order(OTHER, ORDER, "here")


def test_wordnet_ids_must_have_wordnets_order() -> None:
    require_wordnet_order(["n01440764", "n01443537"], "here")
    require_wordnet_order(["n01443537", "a fish of another name"], "here")
    with pytest.raises(UserError, match=r"WordNet's order: .*\[n01440764, n01443537\].*\[n01443537, n01440764\]"):
        require_wordnet_order(["n01443537", "n01440764"], "here")


@pytest.mark.parametrize(
    "description",
    [
        {"kind": "imagenet", "root": "set", "classes": ["n01443537", "n01440764"]},
        {"kind": "mnist", "variant": "MNIST", "root": "set", "classes": list("1234567890")},
        {"kind": "mnist", "variant": "FashionMNIST", "root": "set", "classes": [
            *("Trouser", "T-shirt/top", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ]},
    ],
)  # fmt: skip
def test_published_datasets_are_not_read_in_another_order(
    description: dict[str, Any], tmp_path: Path, read_dataset: Callable[..., Any]
) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match=r"class 0 is .*its classes are \["):
        read_dataset(**description)
