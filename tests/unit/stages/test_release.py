"""A release has every image under its own path, size and mode, within the bound, and lists all of its files."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from datasets import load_dataset  # type: ignore[attr-defined]
from unlearnable import arrays, files
from unlearnable.bounds import linf
from unlearnable.datasets import released
from unlearnable.datasets.shards import identity
from unlearnable.errors import UserError
from unlearnable.stages.dataset import prepare
from unlearnable.stages.release import release
from unlearnable.stages.settings.release import ReleaseSettings

CLASSES = ["cat", "d<b>og"]
FILES = {  # name: size, mode, format
    "cat/a b's.jpg": ((40, 30), "RGB", "jpeg"),
    "cat/a b's.jpg.png": ((16, 16), "RGB", "png"),
    "cat/\u732b.png": ((7, 5), "RGBA", "png"),
    "cat/back\\slash.png": ((9, 9), "L", "png"),
    "d<b>og/grey.jpeg": ((33, 20), "L", "jpeg"),
    "d<b>og/palette.gif": ((20, 20), "P", "gif"),
    "d<b>og/cmyk.jpg": ((20, 21), "CMYK", "jpeg"),
}


class Owner:
    """An owner's folder, and a dataset and noise made of it."""

    def __init__(self, folder: Path, rho_u: int = 8) -> None:
        self.photos, self.folder, self.rho_u = folder / "photos", folder, rho_u
        draws = np.random.default_rng(0)
        for name, (size, mode, kind) in FILES.items():
            (self.photos / name).parent.mkdir(parents=True, exist_ok=True)
            smooth = Image.fromarray(draws.integers(0, 256, (3, 3, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
            smooth.convert(mode).save(self.photos / name, kind)
        rows = [(name, name.split("/")[0], "train") for name in FILES]
        rows += [(name, label, "test") for name, label, _ in (rows[0], rows[4])]
        pd.DataFrame(rows, columns=["file", "label", "split"]).to_csv(folder / "index.csv", index=False)
        self.dataset: dict[str, object] = {"kind": "listed", "root": str(self.photos)}
        self.dataset |= {
            "index": str(folder / "index.csv"),
            "image_size": 8,
            "channels": 3,
            "classes": CLASSES,
            "resize": "squash",
        }
        data, noise = folder / "dataset", folder / "noise"
        prepare(self.settings().dataset, folder, data / "train", data / "test", data / "manifest.json", folder)
        levels = draws.choice([-rho_u, rho_u], (len(FILES), 8, 8, 3)).astype(np.int8)
        noise.mkdir()
        found = {"noise.npy": arrays.write_array(noise / "noise.npy", levels)}
        files.write_json(noise / "manifest.json", {"dataset": identity(data), files.HASHES: found})

    def settings(self, **changes: object) -> ReleaseSettings:
        whole = {"name": "mine", "bound": linf(self.rho_u).plain(), "dataset": self.dataset, "licence": "CC *BY* 4.0"}
        return ReleaseSettings.model_validate(whole | changes)

    def release(self, **changes: object) -> Path:
        into = self.folder / "release/mine"
        release(
            self.settings(**changes),
            root=self.folder,
            source=self.folder / "dataset",
            noise=self.folder / "noise",
            into=into,
            manifest=self.folder / "record/manifest.json",
            metrics=self.folder / "record/metrics.json",
            threads=2,
        )
        return into


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def test_every_image_is_there_within_the_bound(owner: Owner) -> None:
    into = owner.release()
    listed = released.read_list(into / "images.csv")
    assert len(listed) == len(FILES)
    assert {each.file for each in listed} == {
        path.relative_to(into / "images").as_posix() for path in (into / "images").rglob("*") if path.is_file()
    }
    for each, (name, (size, mode, _)) in zip(listed, FILES.items(), strict=True):
        assert each.label == name.split("/")[0]
        assert each.sha256 == hashlib.sha256((into / "images" / each.file).read_bytes()).hexdigest()
        assert released.original_of(each.file, owner.photos) == owner.photos / name
        with Image.open(into / "images" / each.file) as image, Image.open(owner.photos / name) as original:
            kept = {"P": "RGB", "CMYK": "RGB"}.get(mode, mode)
            assert (image.size, image.mode, image.format) == (size, kept, "PNG")
            change = np.asarray(image).astype(int) - np.asarray(original.convert(kept))
        assert 0 < np.abs(change).max() <= owner.rho_u
        assert np.abs(change).max() == each.largest_change
        if mode == "RGBA":
            assert not change[..., 3].any()
        measured = [float(value) for value in each[5:]]
        assert 0 < measured[0] < 1
        assert all(-0.1 < share <= 1.2 for share in measured[1:])
    assert listed[0].file == "cat/a b's.jpg.png.png"  # that without the last .png is another image


def test_similarity_and_survival_are_measured_of_the_first_images_of_each_class(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unlearnable.stages.release.SAMPLED", 2)
    listed = released.read_list(owner.release() / "images.csv")
    assert [each.ssim != "" for each in listed] == [True, True, False, False, True, True, False]
    assert {each[5:] for each in listed if not each.ssim} == {("", "", "", "")}


def test_sums_are_those_of_plain_sha256sum(owner: Owner) -> None:
    into = owner.release()
    done = subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=into, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    present = {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}
    assert set(released.read_sums(into / "SHA256SUMS")) == present - {"SHA256SUMS"}


def test_nothing_private_is_in_it(owner: Owner) -> None:
    into = owner.release()
    text = "".join(path.read_text(errors="replace") for path in into.glob("*") if path.is_file())
    assert "seed" not in text
    assert str(owner.folder) not in text
    about = json.loads((into / "release.json").read_text())
    assert about["images"] == len(FILES)
    assert about["classes"] == {"cat": 4, "d<b>og": 3}


def test_the_parquet_opens_in_datasets(owner: Owner, tmp_path: Path) -> None:
    into = owner.release()
    found = load_dataset("parquet", data_files=str(into / "parquet/*.parquet"), split="train", cache_dir=str(tmp_path))
    assert found.features["label"].names == CLASSES
    assert found.column_names == ["image", "label"]
    assert found[0]["image"].size == (40, 30)


def test_user_text_has_no_meaning_in_the_card(owner: Owner) -> None:
    text = (owner.release() / "README.md").read_text()
    assert r"CC \*BY\* 4.0" in text
    assert r"d\<b\>og" in text


def test_the_same_format_is_kept_and_what_is_left_in_jpeg_is_measured(owner: Owner) -> None:
    into = owner.release(format="same")
    names = {each.file for each in released.read_list(into / "images.csv")}
    assert names == {name if not name.endswith(".gif") else f"{name}.png" for name in FILES}
    with Image.open(into / "images/cat/a b's.jpg") as image:
        assert image.format == "JPEG"
    about = json.loads((into / "release.json").read_text())
    assert not about["bound_holds"]
    assert 0.7 <= about["smallest_share_of_noise_in_jpeg"] < 1.2
    assert files.read_json(owner.folder / "record/manifest.json")["converted"] == {
        "d<b>og/palette.gif": "P, GIF",
        "d<b>og/cmyk.jpg": "CMYK",
    }


def test_noise_that_jpeg_destroys_is_refused(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unlearnable.stages.release.FEWEST_LEFT", 1.5)
    with pytest.raises(UserError, match=r"3 JPEG images keep less than 150% of their noise, least .*; use format: png"):
        owner.release(format="same")
    assert not list((owner.folder / "release").iterdir())


def test_an_image_that_changed_meanwhile_is_named(owner: Owner) -> None:
    shutil.copy(owner.photos / "cat/a b's.jpg.png", owner.photos / "cat/back\\slash.png")
    with pytest.raises(UserError, match=r"slash.png: has changed since its noise was made"):
        owner.release()


def test_an_older_release_is_replaced_as_a_whole(owner: Owner) -> None:
    into = owner.release()
    (into / "leftover").touch()
    (into.parent / ".mine.part").mkdir()
    owner.release(format="same")
    assert [path.name for path in into.parent.iterdir()] == ["mine"]
    assert not (into / "leftover").exists()
