"""A noise from a file: every format, unit and layout, and what is refused."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from unlearnable.datasets.protected import apply_noise
from unlearnable.datasets.protected_parquet import write_parquet
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.noises.given.noise import base, order
from unlearnable.noises.given.place import checksum
from unlearnable.noises.given.settings import Given
from unlearnable.noises.method import Batch, Problem

ROWS, RADIUS = 30, 8


@pytest.fixture
def train(make_split: Callable[..., Split]) -> Split:
    return make_split(ROWS, channels=3)


def drawn(rows: int = ROWS, seed: int = 1) -> Array:
    """Noise of every level up to the radius."""
    noise: Array = np.random.default_rng(seed).integers(-RADIUS, RADIUS + 1, (rows, 8, 8, 3), np.int8)
    return noise


def added(train: Split, noise: Array) -> Array:
    return apply_noise(train.images[:], noise, np.ones(len(noise), bool))


def given(path: Path, **changes: Any) -> Given:
    """Settings of a file as it is now."""
    whole = {"algorithm": "given", "path": str(path), "content": "noise", "unit": "levels", "radius": RADIUS}
    return Given.model_validate({**whole, "sha256": checksum(path), **changes})


def read(path: Path, train: Split, **changes: Any) -> Array:
    return base(given(path, **changes), train, path.parent)


def saved(path: Path, values: Array) -> Path:
    np.save(path, values)
    return path


def pngs(folder: Path, images: Array, encode: Callable[[Array], bytes], name: str = "{}.png") -> Path:
    for row, image in enumerate(images):
        file = folder / name.format(row)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode(image))
    return folder


# ---- formats


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".pt", ".legacy.pt"])
@pytest.mark.parametrize("channels_first", [False, True])
def test_noise_is_read_from_arrays_of_every_format(
    suffix: str, channels_first: bool, train: Split, tmp_path: Path
) -> None:
    noise, path = drawn(), tmp_path / f"noise{suffix}"
    stored = np.ascontiguousarray(noise.transpose(0, 3, 1, 2)) if channels_first else noise
    match suffix:
        case ".npy":
            np.save(path, stored)
        case ".npz":
            np.savez_compressed(path, delta=stored)
        case ".safetensors":
            save_file({"delta": torch.from_numpy(stored)}, path)
        case ".pt":
            torch.save({"delta": torch.from_numpy(stored), "epoch": 3}, path)
        case _:
            torch.save(torch.from_numpy(stored), path, _use_new_zipfile_serialization=False)
    found = read(path, train)
    assert found.dtype == np.int8
    assert np.array_equal(found, noise)


@pytest.mark.parametrize("name", ["{}.png", "{:03}.png", "class/{:03}.png"])
def test_protected_images_are_read_from_a_folder_of_png_files(
    name: str, train: Split, encode_png: Callable[[Array], bytes], tmp_path: Path
) -> None:
    protected = added(train, drawn())
    folder = pngs(tmp_path / "png", protected, encode_png, name)
    (folder / ".DS_Store").write_bytes(b"x")
    change = read(folder, train, content="images")
    assert np.array_equal(train.images[:] + change, protected)


def test_protected_images_are_read_from_this_projects_parquet_files_by_their_index(
    train: Split, tmp_path: Path
) -> None:
    protected, shuffled = added(train, drawn()), np.random.default_rng(0).permutation(ROWS)
    split = Split(protected[shuffled], train.labels[shuffled], train.classes)
    write_parquet(tmp_path / "parquet", split, np.ones(ROWS, bool), 10, shuffled)
    change = read(tmp_path / "parquet", train, content="images")
    assert np.array_equal(train.images[:] + change, protected)


def test_protected_images_are_read_from_a_hub_s_parquet_file(
    train: Split, write_parquet_images: Callable[..., None], encode_png: Callable[[Array], bytes], tmp_path: Path
) -> None:
    protected, path = added(train, drawn()), tmp_path / "hub.parquet"
    write_parquet_images(path, [encode_png(image) for image in protected], train.labels.tolist(), ("img", "label"))
    assert np.array_equal(train.images[:] + read(path, train, content="images", array="img"), protected)


@pytest.mark.parametrize(
    ("dtype", "unit", "scale"),
    [
        (np.int16, "levels", 1.0),
        (np.float32, "levels", 1.0),
        (np.float32, "unit", 1 / 255),
        (np.float16, "unit", 1 / 255),
        (np.float64, "signed-unit", 1 / 127.5),
    ],
)
def test_noise_in_every_unit_is_the_same_noise(
    dtype: type[Any], unit: str, scale: float, train: Split, tmp_path: Path
) -> None:
    noise = drawn()
    path = saved(tmp_path / "noise.npy", (noise * scale).astype(dtype))
    assert np.array_equal(read(path, train, unit=unit), noise)


@pytest.mark.parametrize(
    ("unit", "scale", "shift"), [("levels", 1, 0), ("unit", 1 / 255, 0), ("signed-unit", 2 / 255, -1)]
)
def test_protected_images_in_every_unit_are_the_same_images(
    unit: str, scale: float, shift: float, train: Split, tmp_path: Path
) -> None:
    protected = added(train, drawn())
    stored = protected if unit == "levels" else (protected * scale + shift).astype(np.float32)
    change = read(saved(tmp_path / "images.npy", stored), train, content="images", unit=unit)
    assert np.array_equal(train.images[:] + change, protected)


def test_bfloat16_and_grey_images_without_an_axis_of_channels(make_split: Callable[..., Split], tmp_path: Path) -> None:
    grey, path = make_split(ROWS), tmp_path / "noise.safetensors"
    noise = drawn()[..., 0]
    save_file({"a": torch.from_numpy(noise).bfloat16()}, path)
    assert np.array_equal(read(path, grey)[..., 0], noise)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_numbers_in_another_byte_order_are_the_same_noise(suffix: str, train: Split, tmp_path: Path) -> None:
    path, stored = tmp_path / f"noise{suffix}", drawn().astype(">i2")
    np.save(path, np.asfortranarray(stored)) if suffix == ".npy" else np.savez(path, stored)
    assert np.array_equal(read(path, train), drawn())


def test_a_noise_for_each_class_is_given_to_its_images(train: Split, tmp_path: Path) -> None:
    settings = given(saved(tmp_path / "noise.npy", drawn(3)), per="class")
    problem = Problem(settings, 0, 0, None, 3)  # type: ignore[arg-type]  # no transform is drawn
    whose = order(train.labels, problem, seed=0)
    assert np.array_equal(base(settings, train, tmp_path)[whose], drawn(3)[train.labels])
    alone = Problem(given(tmp_path / "noise.npy"), 0, 0, None, 3)  # type: ignore[arg-type]
    assert np.array_equal(order(train.labels, alone, seed=0), np.arange(ROWS))


def test_other_norms_have_radii_of_their_own(train: Split, tmp_path: Path) -> None:
    noise = np.zeros((ROWS, 8, 8, 3), np.int16)
    noise[:, 2, 3] = 200
    path = saved(tmp_path / "noise.npy", noise)
    assert np.array_equal(read(path, train, norm="l0", radius=1), noise)
    assert np.array_equal(read(path, train, norm="l2", radius=1.4), noise)
    with pytest.raises(UserError, match="beyond its bound, l2 1 of"):
        read(path, train, norm="l2", radius=1.0)


def test_what_is_kept_while_the_noise_is_used_has_no_name(train: Split, tmp_path: Path) -> None:
    path = saved(tmp_path / "noise.npy", drawn())
    found = read(path, train)
    assert [each.name for each in tmp_path.iterdir()] == ["noise.npy"]
    assert found.any()


# ---- what is refused, in one line that names the file


def refused(path: Path, train: Split, **changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        read(path, train, **changes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def test_a_pickle_is_refused_with_a_line_that_converts_it(tmp_path: Path) -> None:
    path = tmp_path / "it's noise.pkl"
    path.write_bytes(pickle.dumps(torch.from_numpy(drawn())))
    with pytest.raises(ValidationError) as caught:
        Given.model_validate(
            {"algorithm": "given", "path": str(path), "content": "noise", "unit": "levels", "radius": 8}
        )
    (error,) = caught.value.errors()
    command = error["msg"].partition("convert it: ")[2].replace("python", sys.executable, 1)
    subprocess.run(command, shell=True, check=True)
    assert np.array_equal(np.load(path.with_suffix(".npy")), drawn())


def test_another_file_than_the_one_stated_is_refused(train: Split, tmp_path: Path) -> None:
    path = saved(tmp_path / "noise.npy", drawn())
    assert f"its sha256 is {checksum(path)}, but" in refused(path, train, sha256="0" * 64)


@pytest.mark.parametrize("content", [pickle.dumps(drawn(), 2), b"", b"\x93NUMPY\x01\x00"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".pt"])
def test_damaged_files_are_refused(suffix: str, content: bytes, train: Split, tmp_path: Path) -> None:
    path = tmp_path / f"noise{suffix}"
    path.write_bytes(content)
    refused(path, train)


def test_objects_in_arrays_are_not_unpickled(train: Split, tmp_path: Path) -> None:
    path = saved(tmp_path / "noise.npy", np.array([print, 1], object))
    assert "without pickles" in refused(path, train)
    np.savez(tmp_path / "noise.npz", noise=np.array([print, 1], object))
    assert "must be numbers" in refused(tmp_path / "noise.npz", train)
    torch.save({"noise": drawn()}, tmp_path / "noise.pt")
    assert "weights_only" in refused(tmp_path / "noise.pt", train)


def test_a_truncated_archive_is_refused(train: Split, tmp_path: Path) -> None:
    import zipfile

    np.save(tmp_path / "whole.npy", drawn())
    with zipfile.ZipFile(tmp_path / "noise.npz", "w") as archive:
        archive.writestr("noise.npy", (tmp_path / "whole.npy").read_bytes()[:-5])
    assert "not complete" in refused(tmp_path / "noise.npz", train)


def test_one_of_several_arrays_must_be_named(train: Split, tmp_path: Path) -> None:
    np.savez(tmp_path / "noise.npz", a=drawn(), b=drawn(seed=2))
    assert "holds 2 arrays (a, b); name the right one" in refused(tmp_path / "noise.npz", train)
    assert "there is no 'c'" in refused(tmp_path / "noise.npz", train, array="c")
    assert np.array_equal(read(tmp_path / "noise.npz", train, array="b"), drawn(seed=2))
    assert "remove array: b" in refused(saved(tmp_path / "noise.npy", drawn()), train, array="b")


@pytest.mark.parametrize(
    ("values", "changes", "message"),
    [
        (drawn(29), {}, "29 noise, but 30 are needed, one for each training image"),
        (drawn(30), {"per": "class"}, "30 noise, but 3 are needed, one for each class"),
        (drawn()[:, :7], {}, "must be (30, 8, 8, 3), or (30, 3, 8, 8) with the channels first"),
        (drawn()[0, 0, 0, 0], {}, "shape () does not fit"),
        (drawn().astype(np.uint8), {}, "uint8 has no negative values"),
        (drawn().astype(bool), {}, "holds bool"),
        (drawn().astype(complex), {}, "holds complex128"),
        (drawn(), {"unit": "unit"}, "set unit: levels"),
        (drawn() / 255, {}, "zero everywhere"),
        (np.full((ROWS, 8, 8, 3), np.nan), {}, "image 0 has a value that is not finite"),
        (drawn() * 1e300, {}, "image 0 by 1000"),
        (drawn() + 0.0, {"unit": "unit"}, "in place of unit"),
        (drawn() * 2, {}, "beyond its bound, linf 8 1/255: image 0 by 16, image 1 by 16, image 2 by 16, and 27"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    values: Array, changes: dict[str, Any], message: str, train: Split, tmp_path: Path
) -> None:
    assert message in refused(saved(tmp_path / "noise.npy", values), train, **changes)


def test_protected_images_that_are_not_those_of_the_dataset_are_refused(train: Split, tmp_path: Path) -> None:
    protected = added(train, drawn())
    protected[[4, 7]] = protected[[7, 4]]
    path = saved(tmp_path / "images.npy", protected)
    message = refused(path, train, content="images")
    assert "differ from the dataset's training images beyond the bound, linf 8 1/255: image 4 by " in message
    assert "image 7 by" in message
    path = saved(tmp_path / "images.npy", protected / 255)
    assert "unit: signed-unit" not in refused(path, train, content="images")
    path = saved(tmp_path / "images.npy", protected + 0.0)
    assert "outside those of unit: unit" in refused(path, train, content="images", unit="unit")


def test_images_that_were_not_protected_are_refused(train: Split, tmp_path: Path) -> None:
    assert "zero everywhere" in refused(saved(tmp_path / "images.npy", train.images[:]), train, content="images")


def test_labels_and_row_numbers_in_parquet_must_be_the_datasets(train: Split, tmp_path: Path) -> None:
    split = Split(added(train, drawn()), (train.labels + 1) % 3, train.classes)
    write_parquet(tmp_path / "a", split, np.ones(ROWS, bool), 100)
    message = refused(tmp_path / "a", train, content="images")
    assert "30 labels differ from the dataset's: image 0 is 1, not 0, image 1 is 2, not 1" in message
    write_parquet(
        tmp_path / "b", Split(split.images, train.labels, train.classes), np.ones(ROWS, bool), 100, np.arange(ROWS) // 2
    )
    assert "must name each row of 0..29 once" in refused(tmp_path / "b", train, content="images")


def test_encoded_images_are_no_noise(train: Split, encode_png: Callable[[Array], bytes], tmp_path: Path) -> None:
    folder = pngs(tmp_path / "png", added(train, drawn()), encode_png)
    assert "cannot be noise" in refused(folder, train)
    assert "set unit: levels" in refused(folder, train, content="images", unit="unit")
    (folder / "3.png").write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8)))
    with pytest.raises(UserError, match=r"3\.png: image is 9x9, not 8x8"):
        read(folder, train, content="images")


def test_folders_and_columns_of_another_kind_are_refused(train: Split, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, message in (
        ("readme.txt", "also holds readme.txt"),
        ("a.png", "also holds"),
        ("b.parquet", "also holds"),
    ):
        (folder / name).write_bytes(b"")
        with pytest.raises(UserError, match=message):
            checksum(folder)
    (folder / "readme.txt").unlink()
    with pytest.raises(UserError, match="holds both"):
        checksum(folder)
    with pytest.raises(UserError, match="no such file or folder"):
        checksum(tmp_path / "none.npy")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [1, 2]}), path)
    assert "holds int64, not encoded images" in refused(path, train, content="images")
    assert "must have one column 'img'; it has image" in refused(path, train, content="images", array="img")


# ---- settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"content": "images", "per": "class"}, "one for each image"),
        ({"radius": 8.5}, "radius of linf must be a whole number up to 255"),
        ({"radius": 300}, "up to 255"),
        ({"norm": "l0", "radius": 0.5}, "radius of l0 must be a whole number"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    whole = {"algorithm": "given", "path": "a.npy", "content": "noise", "unit": "levels", "radius": 8}
    with pytest.raises(ValidationError, match=message):
        Given.model_validate(whole | changes)


def test_without_a_checksum_a_plan_says_which_one_to_state(train: Split, tmp_path: Path) -> None:
    path = saved(tmp_path / "noise.npy", drawn())
    assert given(path).misfit((8, 8, 3), 3) is None
    assert given(path, sha256=None).misfit((8, 8, 3), 3) == (
        "path",
        f"its checksum must be stated, sha256: {checksum(path)} for the file as it is now",
    )
    path.unlink()
    missing = Given(algorithm="given", path=str(path), content="noise", unit="levels", radius=8)
    assert missing.misfit((8, 8, 3), 3) == ("path", f"{path}: there is no such file or folder")


def test_the_checksum_of_a_folder_follows_names_and_content(
    tmp_path: Path, encode_png: Callable[[Array], bytes]
) -> None:
    folder = pngs(tmp_path / "png", np.zeros((2, 8, 8, 3), np.uint8), encode_png)
    before = checksum(folder)
    (folder / "1.png").rename(folder / "2.png")
    assert checksum(folder) != before
    (folder / "2.png").rename(folder / "1.png")
    assert checksum(folder) == before
    (folder / "1.png").write_bytes(b"x")
    assert checksum(folder) != before


def test_its_noise_is_the_one_that_the_stage_read() -> None:
    from unlearnable.noises.given.noise import noise

    start = torch.ones(2, 3, 8, 8)
    assert torch.equal(noise(None, Batch(start, torch.zeros(2), None, torch.Generator(), start)), start)  # type: ignore[arg-type]
