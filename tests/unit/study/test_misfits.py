"""What a configuration and the number of images show before a job would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from snakemake.utils import update_config

from unlearnable import files, registry
from unlearnable.datasets.split import Array
from unlearnable.errors import UserError
from unlearnable.networks.facts import without_values
from unlearnable.study.cells import Noise, Victim
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.study import Study

ROOT = Path(__file__).parents[3]
UNDER = [ROOT / "config" / name for name in DEFAULTS]
OWN: dict[str, Any] = {
    "run": ["own"],
    "datasets": {"own": {"kind": "parquet", "root": "set", "image_size": 32, "classes": ["cat", "dog"]}},
    "source_model": {"by_dataset": {"own": {"network": "small-cnn", "batch_size": 16}}},
    "victim": {"by_dataset": {"own": {"batch_size": 16}}},
    "experiments": {
        "own": {
            "datasets": ["own"],
            "noises": [{"method": "clean"}, {"method": "em", "rho_u": [8]}],
            "victims": {"networks": ["resnet18"], "radii": [0]},
            "products": ["accuracy-table"],
        }
    },
}


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., Study]:
    """``plan(*changes)``: a study of two classes with changes laid over it."""

    def planned(*changes: dict[str, Any]) -> Study:
        config: dict[str, Any] = {}
        own: dict[str, Any] = yaml.safe_load(yaml.safe_dump(OWN))
        for change in changes:
            update_config(own, change)
        (tmp_path / "own.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
        for file in (*UNDER, tmp_path / "own.yaml"):
            update_config(config, yaml.safe_load(file.read_text()))
        return Study(config, [*UNDER, tmp_path / "own.yaml"], tmp_path)

    return planned


@pytest.fixture
def said(plan: Callable[..., Study], tmp_path: Path) -> Callable[..., list[str]]:
    """``said(*changes)``: the lines with which a study is refused, without the folder of its file."""

    def refused(*changes: dict[str, Any]) -> list[str]:
        with pytest.raises(UserError) as error:
            plan(*changes)
        return str(error.value).replace(f"{tmp_path}/", "").split("\n")

    return refused


def own(stage: str, **keys: Any) -> dict[str, Any]:
    return {stage: {"by_dataset": {"own": keys}}}


def dataset(**keys: Any) -> dict[str, Any]:
    return {"datasets": {"own": keys}}


def victims(**axis: Any) -> dict[str, Any]:
    return {"experiments": {"own": {"victims": axis}}}


def noises(*axes: dict[str, Any]) -> dict[str, Any]:
    return {"experiments": {"own": {"noises": list(axes)}}}


def test_a_study_that_fits_is_read(plan: Callable[..., Study]) -> None:
    plan()


@pytest.mark.parametrize("selected", [{"test_images": 20}, {"validation": 20}])
def test_too_few_images_to_choose_a_step_are_refused(
    said: Callable[..., list[str]], plan: Callable[..., Study], selected: dict[str, int]
) -> None:
    (line,) = said(own("victim", stopping_share=0.05), dataset(**selected))
    place, key, message = line.split(": ", 2)
    assert place.startswith("own.yaml:")
    assert key == "victim.by_dataset.own.stopping_share"
    assert message == "1 of the 20 test images of 'own' cannot include all of 2 classes; raise it"
    plan(own("victim", stopping_share=0.1), dataset(**selected))


def test_auto_attack_on_two_classes_is_refused(said: Callable[..., list[str]], plan: Callable[..., Study]) -> None:
    (line,) = said(own("victim", auto_attack=True))
    place, key, message = line.split(": ", 2)
    assert place.startswith("own.yaml:")
    assert key == "victim.by_dataset.own.auto_attack"
    assert message == "AutoAttack needs 3 classes or more, but 'own' has 2; set auto_attack: false"
    plan(own("victim", auto_attack=True), dataset(classes=["cat", "dog", "owl"]))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            victims(networks=["small-cnn", "vgg16-bn"]),
            "experiments.own.victims.networks.1: 'vgg16-bn' with stem cifar takes images whose sides are 32 or more "
            "pixels, but 'own' has image_size: 31",
        ),
        (
            own("source_model", network="lenet5", stem="imagenet"),
            "source_model.by_dataset.own.stem: network 'lenet5' has no stem 'imagenet'; set stem: cifar",
        ),
        (
            own("source_model", network="small-cnn"),
            "source_model.by_dataset.own.network: 'small-cnn' with stem cifar takes images whose sides are multiples "
            "of 2 pixels, but 'own' has image_size: 31",
        ),
        (
            {"victim": {"by_network": {"small-cnn": {"stem": "imagenet"}}}} | victims(networks=["small-cnn"]),
            "victim.by_network.small-cnn.stem: network 'small-cnn' has no stem 'imagenet'; set stem: cifar",
        ),
    ],
)
def test_a_network_that_cannot_take_the_images_is_refused(
    said: Callable[..., list[str]], change: dict[str, Any], line: str
) -> None:
    lines = said(dataset(image_size=31), own("source_model", network="resnet18"), change)
    assert any(found.startswith("own.yaml:") and found.endswith(f": {line}") for found in lines), lines


def test_what_a_network_takes_are_the_crops_but_for_noises_made_on_raw_images(
    said: Callable[..., list[str]], plan: Callable[..., Study]
) -> None:
    cropped = dataset(image_size=65, augmentation={"resized_crop": 64})
    plan(cropped, noises({"method": "rem", "rho_u": [8], "rho_a": [4]}))
    (line,) = said(cropped)
    assert "'small-cnn' with stem cifar" in line
    assert line.endswith("multiples of 2 pixels, but 'own' has image_size: 65")
    (line,) = said(dataset(image_size=64, augmentation={"resized_crop": 31}), noises({"method": "clean"}),
                   victims(networks=["vgg11-bn"]))  # fmt: skip
    assert line.endswith("'own' has resized_crop: 31")


@pytest.mark.parametrize("name", registry.available("networks"))
def test_every_network_takes_exactly_the_sides_that_it_states(name: str) -> None:
    stated = registry.constant("networks", name, "SIDES")
    for stem in ("cifar", "imagenet"):
        smallest, multiple = (8, 1) if stated is None else stated.get(stem, (0, 0))
        if not smallest:
            with pytest.raises(UserError, match="has no stem"):
                without_values(name, 3, 10, stem)
            continue
        network = without_values(name, 3, 10, stem)
        for side in {8, 9, max(8, smallest - 1), max(8, smallest), smallest + multiple, 33}:
            fits = side >= smallest and side % multiple == 0
            try:
                with torch.no_grad():
                    network(torch.zeros(1, 3, side, side, device="meta"))
            except RuntimeError:
                assert not fits, (stem, side)
            else:
                assert fits, (stem, side)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            own("victim", batch_size=21) | dataset(train_images=20),
            "victim.by_dataset.own.batch_size: batch_size is 21, but 'own' has only 20 training images; "
            "lower batch_size",
        ),
        (
            own("source_model", by_method={"em": {"batch_size": 21}}) | dataset(train_images=20),
            "source_model.by_dataset.own.by_method.em.batch_size: batch_size is 21, but 'own' has only 20 training "
            "images; lower batch_size",
        ),
        (
            {"experiments": {"own": {"protected": [20, 80], "clean_rest": True}}} | dataset(train_images=50),
            "victim.by_dataset.own.batch_size: batch_size is 16, but 'own' has only 10 training images that are not "
            "protected at 80 per cent (clean_rest); lower batch_size",
        ),
        (
            dataset(train_images=1),
            "datasets.own.train_images: 1 image(s) cannot include all of 2 classes",
        ),
        (
            dataset(validation=1),
            "datasets.own.validation: 1 image(s) cannot include all of 2 classes",
        ),
    ],
)
def test_too_few_images_are_known_from_the_description(
    said: Callable[..., list[str]], change: dict[str, Any], line: str
) -> None:
    lines = said(change)
    assert any(found.startswith("own.yaml:") and found.endswith(f": {line}") for found in lines), lines


@pytest.fixture
def write(
    tmp_path: Path, write_parquet_images: Callable[..., None], encode_png: Callable[[Array], bytes]
) -> Callable[[int], None]:
    """``write(rows)``: so many training images, on which the study's description fits."""

    def written(rows: int) -> None:
        for name in ("train", "test"):
            image = encode_png(np.zeros((32, 32, 3), np.uint8))
            write_parquet_images(tmp_path / "set" / f"{name}.parquet", [image] * rows, [0, 1] * (rows // 2))

    return written


SOURCE = Noise("own", "em", 8, 0, 0)
VICTIM = Victim("own", "em", 8, 0, 0, 100, "resnet18", "none", 0, 0)
REST = Victim("own", "clean", 0, 0, 0, 50, "resnet18", "none", 0, 0)


@pytest.mark.parametrize(
    ("cell", "stage", "enough"), [(SOURCE, "source_model", 16), (VICTIM, "victim", 16), (REST, "victim", 32)]
)
def test_a_batch_larger_than_what_the_files_hold_is_refused_where_it_is_trained_on(
    cell: Noise, stage: str, enough: int, plan: Callable[..., Study], write: Callable[[int], None], tmp_path: Path
) -> None:
    assert plan().unfilled_batches(cell, tmp_path) == []  # the files are not there yet
    write(enough - 2)
    (line,) = plan().unfilled_batches(cell, tmp_path)
    place, key, message = line.split(": ", 2)
    assert place.startswith(f"{tmp_path}/own.yaml:")
    assert key == f"{stage}.by_dataset.own.batch_size"
    left = "15 training images that are not protected at 50 per cent (clean_rest)" if cell is REST else (
        "14 training images"
    )  # fmt: skip
    assert message == f"batch_size is 16, but 'own' has only {left}; lower batch_size"
    write(enough)
    assert plan().unfilled_batches(cell, tmp_path) == []


def test_files_that_were_removed_after_the_dataset_was_stored_do_not_count(
    plan: Callable[..., Study], write: Callable[[int], None], tmp_path: Path
) -> None:
    def known() -> list[str]:
        return [line.partition(" has only ")[2] for line in plan().unfilled_batches(SOURCE, tmp_path)]

    write(2)
    manifest = tmp_path / "results/dataset/own/manifest.json"
    files.write_json(manifest, {"train": {"rows": 16}})
    assert known() == []
    files.write_json(manifest, {"train": {"rows": 14}})
    assert known() == ["14 training images; lower batch_size"]
    write(16)  # the dataset will be stored again
    assert known() == []
    write(2)
    manifest.write_text("damaged")
    assert known() == ["2 training images; lower batch_size"]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"methods": {"ntga": {"held_out": 1}}} | noises({"method": "ntga", "rho_u": [8]}),
            "methods.ntga.held_out: does not fit 'own': 1 image(s) cannot include one of each of 2 classes; give at "
            "least 2",
        ),
        (
            {"noise": {"by_method": {"ntga": {"held_out": 1}}}} | noises({"method": "ntga", "rho_u": [8]}),
            "noise.by_method.ntga.held_out: does not fit 'own': 1 image(s) cannot include one of each of 2 classes; "
            "give at least 2",
        ),
        (
            {"methods": {"lsp": {"patch": 32}}}
            | noises({"method": "lsp"})
            | dataset(channels=1, classes=["cat", "dog", "owl"]),
            "methods.lsp.patch: does not fit 'own': patch 32 makes 1 value(s) of an image of 32x32x1, which tell 2 "
            "classes apart, not 3; a smaller patch makes more",
        ),
        (
            {"methods": {"lsp": {"patch": 32}, "lsp-shuffled": {"algorithm": "shuffled", "of": "lsp"}}}
            | noises({"method": "lsp-shuffled"})
            | dataset(channels=1, classes=["cat", "dog", "owl"]),
            "methods.lsp.patch: does not fit 'own': patch 32 makes 1 value(s) of an image of 32x32x1, which tell 2 "
            "classes apart, not 3; a smaller patch makes more",
        ),
        (
            {"methods": {"ntga": {"held_out": 1}, "sem-own": {"algorithm": "sem", "start": {"noise": "ntga"}}}}
            | noises({"method": "sem-own", "rho_u": [8], "rho_a": [4]}),
            "methods.ntga.held_out: does not fit 'own': 1 image(s) cannot include one of each of 2 classes; give at "
            "least 2",
        ),
        (
            {"methods": {"sem-own": {"algorithm": "sem", "start": {"noise": "em-augmented"}}}}
            | noises({"method": "sem-own", "rho_u": [8], "rho_a": [4]})
            | dataset(augmentation={"resized_crop": 16}),
            "experiments.own.noises.0.method: 'em-augmented' has frame: augmented, which does not fit 'own': its "
            "transform changes the size",
        ),
        (
            {"methods": {"sem-own": {"algorithm": "sem", "start": {"noise": "em"}}}}
            | {"source_model": {"by_dataset": {"own": {"by_method": {"em": {"batch_size": 300}}}}}}
            | noises({"method": "sem-own", "rho_u": [8], "rho_a": [4]})
            | dataset(train_images=200),
            "source_model.by_dataset.own.by_method.em.batch_size: batch_size is 300, but 'own' has only 200 training "
            "images; lower batch_size",
        ),
        (
            {"countermeasures": {"hole": {"kind": "cutout", "size": 33}}} | victims(countermeasures=["none", "hole"]),
            "experiments.own.victims.countermeasures.1: 'hole' does not fit 'own': size 33 exceeds the images' 32 "
            "pixels; lower it",
        ),
    ],
)
def test_methods_and_counter_measures_that_do_not_fit_the_images_are_refused(
    said: Callable[..., list[str]], change: dict[str, Any], line: str
) -> None:
    lines = said(change)
    assert any(found.startswith("own.yaml:") and found.endswith(f": {line}") for found in lines), lines


def test_victims_that_no_product_needs_are_not_looked_at(plan: Callable[..., Study]) -> None:
    sheet = {"experiments": {"own": {"products": ["noise-sheet"]}}}
    plan(own("victim", batch_size=21), dataset(train_images=20), sheet)


def test_experiments_that_do_not_run_may_be_meant_for_other_settings(plan: Callable[..., Study]) -> None:
    plan({"victim": {"by_network": {"vgg16-bn": {"auto_attack": True}}}}, {"experiments": {
        "other": OWN["experiments"]["own"] | {"victims": {"networks": ["vgg16-bn"], "radii": [0]}},
    }})  # fmt: skip
