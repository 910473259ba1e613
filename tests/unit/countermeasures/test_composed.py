"""Several counter-measures, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from pydantic import ValidationError
from snakemake.utils import update_config

from unlearnable import registry
from unlearnable.countermeasures._victims import VictimMeasure
from unlearnable.countermeasures.base import Countermeasure, cross_entropy
from unlearnable.countermeasures.composed.settings import CHANGES, EVERY_BATCH, LOSS, MIXES_LABELS, START, STORED
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.registry import module_name
from unlearnable.settings import plain
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.study.fingerprint import code_fingerprint
from unlearnable.study.recipes import Recipes
from unlearnable.study.study import Study

ROOT = Path(__file__).parents[3]
KEYS: dict[str, dict[str, Any]] = {
    "pretrained": {"file": "model.safetensors", "sha256": 64 * "0"},
    "d-vae": {"steps": 2},  # as it takes a while
}
KINDS = sorted(set(registry.available("countermeasures")) - {"none", "composed"})


def train_split(size: int = 16, rows: int = 40) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (rows, size, size, 3), np.uint8)
    return Split(images, np.arange(rows) % 4, ["a", "b", "c", "d"])


def composed(*kinds: str) -> Any:
    parts = [{"kind": kind} | KEYS.get(kind, {}) for kind in kinds]
    return registry.validated("countermeasures", {"kind": "composed", "of": parts})


def built(settings: Any, train: Split, seed: int = 0) -> Countermeasure:
    measure: Countermeasure = registry.load_module("countermeasures", settings.kind).build(settings, train, 4, seed)
    return measure


def single(kind: str, train: Split) -> Countermeasure:
    return built(registry.validated("countermeasures", {"kind": kind} | KEYS.get(kind, {})), train)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_kind_changes_is_what_its_code_does(kind: str) -> None:
    measure = single(kind, train_split())
    prepares = isinstance(measure, VictimMeasure) and measure.prepare is not None
    found = [START] * prepares + [STORED] * (measure.images is not None) + [EVERY_BATCH] * (measure.batch is not None)
    own_attack = measure.attack_start is not None or measure.attack_targets is not None
    own_attack |= isinstance(measure, VictimMeasure) and measure.attack is not None
    found += [LOSS] * (own_attack or measure.objective is not cross_entropy)
    assert found == [CHANGES[kind]]
    if measure.batch is not None:
        _, targets = measure.batch(torch.rand(4, 3, 16, 16), torch.arange(4), torch.Generator().manual_seed(0))
        assert (targets.ndim == 2) == (kind in MIXES_LABELS)


def test_stored_images_go_through_the_parts_in_their_order() -> None:
    train = train_split()
    images = train.images[:]
    one, other = (built(composed(*kinds), train).images for kinds in (("grayscale", "jpeg"), ("jpeg", "grayscale")))
    gray, jpeg = (single(kind, train).images for kind in ("grayscale", "jpeg"))
    assert one
    assert other
    assert gray
    assert jpeg
    assert np.array_equal(one(images), jpeg(gray(images)))
    assert np.array_equal(other(images), gray(jpeg(images)))
    assert not np.array_equal(one(images), other(images))


def test_a_part_that_learns_from_the_images_learns_from_what_the_parts_before_it_left() -> None:
    train = train_split()
    found = built(composed("grayscale", "orthogonal"), train).images
    gray = single("grayscale", train).images
    assert found
    assert gray
    greyed = Split(gray(train.images[:]), train.labels, train.classes)
    project = single("orthogonal", greyed).images
    assert project
    assert np.array_equal(found(train.images[:]), project(greyed.images[:]))


def test_batches_go_through_the_parts_in_their_order_with_one_generator() -> None:
    train = train_split()
    pixels, labels = torch.rand(8, 3, 16, 16) * 255, torch.arange(8) % 4
    batch = built(composed("jpeg", "coin", "cutmix", "cutout"), train).batch
    assert batch
    found = batch(pixels, labels, torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    x, targets = pixels, labels
    for kind in ("coin", "cutmix", "cutout"):
        change = single(kind, train).batch
        assert change
        x, targets = change(x, targets, generator)
    assert torch.equal(found[0], x)
    assert torch.equal(found[1], targets)
    assert targets.shape == (8, 4)


def test_what_is_fitted_on_the_images_finds_them_as_the_parts_before_it_left_them() -> None:
    train = train_split()
    found = built(composed("grayscale", "d-vae", "jpeg"), train).images
    gray, jpeg = (single(kind, train).images for kind in ("grayscale", "jpeg"))
    assert found
    assert gray
    assert jpeg
    greyed = Split(gray(train.images[:]), train.labels, train.classes)
    purify = single("d-vae", greyed).images
    assert purify
    assert np.array_equal(found(train.images[5:9]), jpeg(purify(greyed.images[5:9])))


def test_attack_and_loss_are_those_of_the_adversarial_part() -> None:
    from unlearnable.countermeasures.trades import countermeasure as trades

    settings = composed("grayscale", "cutout", "trades")
    measure = built(settings, train_split())
    assert measure.attack_targets is trades.predictions
    assert measure.attack_start is not None
    assert measure.objective is not cross_entropy
    assert (settings.needs_radius, settings.passes, settings.channels) == (True, 2, (3,))
    plainly = composed("jpeg", "cutout")
    assert (plainly.needs_radius, plainly.passes, plainly.channels) == (False, 1, (1, 3))
    assert built(plainly, train_split()).objective is cross_entropy


@pytest.mark.parametrize(
    ("kinds", "complaint"),
    [
        (("cutout", "jpeg"), "'jpeg' changes the stored images, once, so it must stand before 'cutout': every batch"),
        (("mixup", "d-vae"), "'d-vae' changes the stored images, once, so it must stand before 'mixup': every batch"),
        (("jpeg", "pretrained"), "'pretrained' changes the initial weights, so it must stand before 'jpeg'"),
        (("trades", "mixup"), "'mixup' changes every batch, so it must stand before 'trades'"),
        (("trades", "mart"), "'trades' and 'mart' both are losses of adversarial training; name one of them"),
        (("mixup", "cutmix"), "'mixup' and 'cutmix' both mix labels; name one of them"),
        (("mixup", "cutout", "mart"), "'mart' needs one label for each image, but 'mixup' mixes them"),
        (("none", "jpeg"), "a counter-measure of the kind 'none' cannot be part of another"),
        (("jpeg",), "at least 2 items"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(kinds: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        composed(*kinds)


def test_a_part_that_does_not_fit_the_images_is_named() -> None:
    assert composed("jpeg", "cutout").misfit((32, 32, 3), 10) is None
    assert "leave nothing of images of 12 values" in str(composed("jpeg", "orthogonal").misfit((2, 2, 3), 12))


def test_test_images_go_through_the_parts_that_change_them() -> None:
    train = train_split()
    measure = built(composed("grayscale", "equalise", "jpeg", "standardise", "cutout"), train)
    assert isinstance(measure, VictimMeasure)
    equalise, standardise = (single(kind, train).images for kind in ("equalise", "standardise"))
    assert measure.test_images
    assert equalise
    assert standardise
    assert np.array_equal(measure.test_images(train.images[:]), standardise(equalise(train.images[:])))
    without = built(composed("grayscale", "jpeg"), train)
    assert isinstance(without, VictimMeasure)
    assert without.test_images is None


# ---- in a study


def study(measures: dict[str, Any], dataset: str = "mini", radius: int = 4) -> Study:
    config: dict[str, Any] = {}
    files = [
        ROOT / "config" / name for name in ("config.yaml", "datasets.yaml", "paper.yaml", "studies/paper-mini.yaml")
    ]
    for file in files:
        update_config(config, yaml.safe_load(file.read_text()))
    victims = {"networks": ["small-cnn"], "countermeasures": ["gray-jpeg"], "radii": [radius]}
    own = {"datasets": [dataset], "noises": [{"method": "clean"}], "victims": victims, "products": ["accuracy-table"]}
    config["countermeasures"] |= measures
    return Study(config | {"run": ["own"], "experiments": {"own": own}}, files, ROOT)


def test_a_study_names_the_parts_and_the_stage_gets_their_settings() -> None:
    own = study({"gray-jpeg": {"kind": "composed", "of": ["gray", "jpeg50"]}})
    (cell,) = own.victims("own")
    settings = own.victim_settings(cell)
    parts = [{"kind": "grayscale"}, {"kind": "jpeg", "quality": 50}]
    assert plain(settings)["countermeasure"] == {"kind": "composed", "of": parts}
    assert VictimSettings.model_validate(plain(settings)) == settings


def test_the_code_of_every_part_counts_and_its_order_is_a_setting() -> None:
    own = study({"gray-jpeg": {"kind": "composed", "of": ["gray", "jpeg50"]}})
    (cell,) = own.victims("own")
    named = [module_name("countermeasures", kind) for kind in ("composed", "grayscale", "jpeg")]
    small_cnn = module_name("networks", "small-cnn")
    recipe = Recipes(own).victim(cell).recipe
    assert recipe.code == code_fingerprint("unlearnable.stages.victim", small_cnn, *named)
    other = study({"gray-jpeg": {"kind": "composed", "of": ["jpeg50", "gray"]}})
    assert Recipes(other).victim(cell).recipe.key != recipe.key


@pytest.mark.parametrize(
    ("of", "line"),
    [
        (["gray", "jpg50"], "gray-jpeg.of.1: counter-measure 'jpg50' is not defined; did you mean 'jpeg50'"),
        (["gray", "more"], "countermeasures.gray-jpeg.of.1: 'more' is composed itself; name its parts"),
        (["cutout", "gray"], "gray-jpeg: 'grayscale' changes the stored images, once, so it must stand"),
        ("gray", "countermeasures.gray-jpeg.of: "),
        (["gray"], "countermeasures.gray-jpeg.of: "),
        (["gray", ["jpeg50"]], "countermeasures.gray-jpeg.of.1: counter-measure ['jpeg50'] is not defined"),
    ],
)  # fmt: skip
def test_a_faulty_list_has_one_line(of: Any, line: str) -> None:
    more = {"kind": "composed", "of": ["gray", "jpeg10"]}
    with pytest.raises(UserError) as refused:
        study({"gray-jpeg": {"kind": "composed", "of": of}, "more": more})
    assert line in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("dataset", "radius", "said"),
    [("mini", 0, "is a form of adversarial training"), ("fashion-mini", 4, "does not fit 'fashion-mini'")],
)
def test_victims_must_fit_every_part(dataset: str, radius: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        study({"gray-jpeg": {"kind": "composed", "of": ["gray", "trades"]}}, dataset, radius)
