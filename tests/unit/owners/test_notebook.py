"""Arrays in and arrays out, and a release as a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision import transforms

import unlearnable
from unlearnable.datasets import released
from unlearnable.datasets.released import Listed
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError

FAST: dict[str, Any] = {"source_model": {"steps": 3, "batch_size": 8}, "device": "cpu"}


@pytest.fixture
def images(make_split: Callable[..., Split]) -> Array:
    found: Array = make_split(24, channels=3).images[:]
    return found


LABELS = np.arange(24) % 3


def test_every_kind_of_method_protects_within_its_bound(images: Array) -> None:
    for method, changes in (
        ("sem", {"settings": {"k_u": 2, "k_a": 1, "j": 1}}),
        ("tap", {"settings": {"steps": 2, "alpha": 0.5, "restarts": 1}}),  # the source model of clean training
        ("random", {}),
        ("em-shuffled", {}),  # made of another noise
    ):
        protected = unlearnable.protect(images, LABELS, method, 5, seed=1, **FAST, **changes)
        assert protected.dtype == np.uint8
        change = protected.astype(int) - images
        assert 0 < np.abs(change).max() <= 5, method
        assert (change != 0).any(axis=(1, 2, 3)).all()


def test_a_method_with_a_bound_of_its_own_has_no_radius(images: Array) -> None:
    protected = unlearnable.protect(images, LABELS, "ops", seed=1, device="cpu")
    assert (protected != images).any(axis=3).sum(axis=(1, 2)).max() == 1
    with pytest.raises(UserError, match="ops has no such radius"):
        unlearnable.protect(images, LABELS, "ops", 8, seed=1)


def test_the_seed_alone_decides_and_torch_is_left_as_it_was(images: Array) -> None:
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.random.get_rng_state().tolist()
    first, again, other = (unlearnable.protect(images, LABELS, "random", 8, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    after = torch.get_num_threads(), torch.get_deterministic_debug_mode(), torch.random.get_rng_state().tolist()
    assert after == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((24, 8, 8, 3))}, r"images: float64 of shape \(24, 8, 8, 3\), but uint8"),
        ({"images": np.zeros((24, 8, 9, 3), np.uint8)}, r"of shape \(24, 8, 9, 3\)"),
        ({"images": np.zeros((24, 3, 8, 8), np.uint8)}, r"\(N, H, H, 1 or 3\) is needed"),
        ({"images": [[0]]}, "images: list of shape"),
        ({"labels": LABELS[:5]}, "24 whole numbers are needed"),
        ({"labels": LABELS / 2}, "24 whole numbers are needed"),
        ({"labels": 2 * LABELS}, "class 1 .* has no images"),
        ({"labels": LABELS - 1}, "label -1 is outside"),
        ({"method": "sme"}, "did you mean 'sem'"),
        ({"settings": {"k_y": 1}}, "unknown key"),
        ({"source_model": {"network": "cnn"}}, "is not defined"),
        ({"source_model": {"batch_size": 100}}, "batch_size is 100, but .* 24 training images"),
        ({"radius": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_used_is_refused(images: Array, change: dict[str, Any], message: str) -> None:
    whole = {"images": images, "labels": LABELS, "method": "sem", "seed": 0, **FAST}
    with pytest.raises(UserError, match=message):
        unlearnable.protect(**(whole | change))


@pytest.fixture
def release(tmp_path: Path, images: Array, encode_png: Callable[[Array], bytes]) -> Path:
    """A release of four images of two classes."""
    listed = []
    for row, label in enumerate(("owl", "cat", "owl", "cat")):
        name = f"{label}/{row}.png"
        path = tmp_path / released.IMAGES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(images[row] if row else images[row][..., :1]))  # the first is grey
        listed.append(Listed(name, label, "0" * 64, 8, "30.00"))
    with open(tmp_path / released.LIST, "w") as file:
        released.write_list(file, listed)
    (tmp_path / released.ABOUT).write_text(json.dumps({"classes": {"cat": 2, "owl": 2}}))
    return tmp_path


def test_a_release_is_a_dataset_of_its_images_in_rgb_and_their_labels(release: Path, images: Array) -> None:
    plain = unlearnable.load_release(release)
    assert (plain.classes, plain.targets, plain.files[0]) == (["cat", "owl"], [1, 0, 1, 0], "owl/0.png")
    assert np.array_equal(np.asarray(plain[1][0]), images[1])
    assert np.array_equal(np.asarray(plain[0][0]), np.repeat(images[0][..., :1], 3, axis=2))
    batches = DataLoader(unlearnable.load_release(str(release), transforms.ToTensor()), batch_size=3)
    (x, y), _ = batches
    assert (x.shape, y.tolist()) == ((3, 3, 8, 8), [1, 0, 1])


def test_a_damaged_release_is_refused(release: Path) -> None:
    (release / "images/cat/1.png").write_bytes(b"\x89PNG")
    (release / "images/cat/3.png").unlink()
    data = unlearnable.load_release(release)
    with pytest.raises(UserError, match=r"1\.png: truncated, or not an image"):
        data[1]
    with pytest.raises(UserError, match=r"3\.png: not readable"):
        data[3]
    (release / released.ABOUT).write_text(json.dumps({"classes": {"cat": 2}}))
    with pytest.raises(UserError, match="the class 'owl' is not in"):
        unlearnable.load_release(release)
    (release / released.LIST).unlink()
    with pytest.raises(UserError, match=r"images\.csv: no such file, so this is no complete release"):
        unlearnable.load_release(release)


def test_there_is_nothing_else_in_the_front() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'unprotect'"):
        unlearnable.unprotect  # noqa: B018  # type: ignore[attr-defined]
