"""Bad input ends in one line that names what is wrong, where, and what would be right."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from .pipeline import CLASSES, SIZE, Config, Project, dataset, random_images, unshared, write_split

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def assert_one_line(printed: str, *parts: str) -> None:
    """Some line holds all ``parts``."""
    assert any(all(part in line for part in parts) for line in printed.splitlines()), (parts, printed)


# ---- the configuration


def noises(*axes: Config) -> Config:
    return {"experiments": {"tiny": {"noises": list(axes)}}}


def training(stage: str, **changes: Any) -> Config:
    return {stage: {"by_dataset": {"tiny": changes}}}


FAULTS: dict[str, tuple[Config, str, tuple[str, ...]]] = {
    "misspelt key": (training("victim", stepps=5), "stepps:", ("victim.by_dataset.tiny.stepps", "'steps'?")),
    "misspelt stage": ({"victims": {"default": {"lr": 0.1}}}, "victims:\n  default", ("victims:", "'victim'?")),
    "number that YAML reads as text": (
        training("victim", lr="1e-3"),
        "lr:",
        ("victim.by_dataset.tiny.lr:", "1e-3", "such as 1.0e-3"),
    ),
    "rho_u of zero": (
        noises({"method": "em", "rho_u": [0]}),
        "- 0",
        ("experiments.tiny.noises.0.rho_u.0", "greater than or equal to 1", "not 0"),
    ),
    "rho_u beyond 8 bits": (
        noises({"method": "em", "rho_u": [256]}),
        "- 256",
        ("experiments.tiny.noises.0.rho_u.0", "less than or equal to 255", "not 256"),
    ),
    "rho_u missing": (noises({"method": "em"}), "- method: em", ("experiments.tiny.noises.0.rho_u", "list of radii")),
    "negative steps": (
        training("source_model", steps=-5),
        "steps: -5",
        ("source_model.by_dataset.tiny.steps", "greater than or equal to 1", "not -5"),
    ),
    "unknown algorithm": (
        {"methods": {"em": {"algorithm": "emn"}}},
        "algorithm: emn",
        ("methods.em.algorithm", "'emn' does not exist", "'clean', 'em', 'tap', 'rem', 'sem'"),
    ),
    "unknown network": (
        training("source_model", network="small-cn"),
        "network: small-cn",
        ("source_model.by_dataset.tiny.network", "'small-cn' is not defined", "'small-cnn'?"),
    ),
    "unknown victim's network": (
        {"experiments": {"tiny": {"victims": {"networks": ["resnet8"]}}}},
        "- resnet8",
        ("experiments.tiny.victims.networks.0", "'resnet8' is not defined", "'resnet18'?"),
    ),
    "unknown dataset": (
        {"experiments": {"tiny": {"datasets": ["tyni"]}}},
        "- tyni",
        ("experiments.tiny.datasets.0", "'tyni' is not defined", "'tiny'?"),
    ),
    "undefined noise": (
        noises({"method": "clean"}, {"method": "remm", "rho_u": [8], "rho_a": [4]}),
        "method: remm",
        ("experiments.tiny.noises.1.method", "noise 'remm' is not defined", "'rem'?"),
    ),
    "undefined experiment": ({"run": ["tini"]}, "- tini", ("run.0", "experiment 'tini' is not defined", "'tiny'?")),
    "a key the method does not have": (
        {"noise": {"by_dataset": {"tiny": {"by_method": {"em": {"k_a": 3}}}}}},
        "k_a: 3",
        ("noise.by_dataset.tiny.by_method.em.k_a", "'em'", "no such key", "'k_u'?"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_configuration_is_named_with_file_and_line(
    repo: Path, tiny: Config, tmp_path: Path, fault: str
) -> None:
    change, text, parts = FAULTS[fault]
    project = Project.new(repo, tmp_path, tiny).having(change, tmp_path)
    written = project.study.read_text()
    line = written[: written.index(text)].count("\n") + 1
    printed = project.run("all", ok=False)
    assert_one_line(printed, f"{project.study}:{line}: ", *parts)
    assert "Traceback" not in printed
    assert not (project.work / "results").exists()


# ---- the dataset's files


def images() -> list[bytes]:
    return random_images(12)


def truncated(folder: Path) -> None:
    data = images()
    write_split(folder / "train.parquet", [*data[:7], data[7][:60], *data[8:]])


def larger_image(folder: Path) -> None:
    write_split(folder / "train.parquet", [*images(), *random_images(1, size=SIZE + 2)], [0, 1, 2] * 4 + [0])


def label_outside(folder: Path) -> None:
    write_split(folder / "train.parquet", images(), [0, 1, 2] * 3 + [0, 1, 3])


def empty_class(folder: Path) -> None:
    write_split(folder / "train.parquet", images(), [0, 1] * 6)


def not_parquet(folder: Path) -> None:
    (folder / "train.parquet").write_bytes(b"PAR1 or something else")


def absent(folder: Path) -> None:
    (folder / "train.parquet").unlink()


def sound(folder: Path) -> None:
    """Nothing wrong."""


BROKEN: dict[str, tuple[Callable[[Path], None], Config, tuple[str, ...]]] = {
    "truncated": (truncated, {}, ("{folder}/train.parquet, row 7: truncated, or not an image",)),
    "sizes": (larger_image, {}, ("{folder}/train.parquet, row 12: image is 10x10, not 8x8",)),
    "label": (label_outside, {}, ("{folder}, train split, row 11: label 3 is outside 0..2 (3 classes)",)),
    "empty-class": (empty_class, {}, ("{folder}, train split: class 2 ('owl') has no images",)),
    "not-parquet": (not_parquet, {}, ("{folder}/train.parquet: not a readable Parquet file",)),
    "absent": (absent, {}, ("{folder}/train.parquet: no such file", "test.parquet")),
    "column": (sound, {"label_column": "y"}, ("{folder}/train.parquet: no column 'y'; it has image, label",)),
    "channels": (sound, {"channels": 3}, ("{folder}/train.parquet, row 0: image mode is L, not RGB",)),
    "checksum": (
        sound,
        {"sha256": {"train.parquet": "0" * 64}},
        ("{folder}/train.parquet: checksum mismatch: expected sha256 " + "0" * 64, "found {sha256}"),
    ),
}


@pytest.fixture(scope="module")
def refused(repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path, str]:
    """Every broken dataset in one run that keeps going, with a sound one."""
    folder = tmp_path_factory.mktemp("broken")
    config = dict(tiny)
    config["datasets"] = {}
    for name, (spoil, change, _) in {"sound": (sound, {}, ()), **BROKEN}.items():
        for split in ("train", "test"):
            write_split(folder / name / f"{split}.parquet", images())
        spoil(folder / name)
        config["datasets"][name] = dataset(folder / name, **change)
    axes = {"datasets": list(config["datasets"]), "noises": [{"method": "clean"}], "products": ["radius-table"]}
    config |= {"run": ["broken"], "experiments": {"broken": axes}}
    for key in ("methods", "source_model", "noise", "victim"):
        del config[key]
    project = Project.new(repo, folder / "study", config)
    return project, folder, project.run("datasets", ok=False)


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_in_a_dataset_is_named_with_file_and_row(refused: tuple[Project, Path, str], fault: str) -> None:
    project, folder, printed = refused
    path = folder / fault / "train.parquet"
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    parts = [part.format(folder=folder / fault, sha256=digest) for part in BROKEN[fault][2]]
    assert_one_line(printed, "ERROR in rule dataset", *parts)
    assert_one_line(project.read(f"logs/dataset/{fault}.log"), *parts)
    left = [path for path in (project.work / "results/dataset" / fault).rglob("*") if path.is_file()]
    assert not left


def test_a_fault_in_one_dataset_does_not_keep_the_others_from_being_made(refused: tuple[Project, Path, str]) -> None:
    project = refused[0]
    assert project.json("results/dataset/sound/manifest.json")["classes"] == CLASSES
    assert "Traceback" not in "".join(project.read(f"logs/dataset/{name}.log") for name in BROKEN)


# ---- what jobs find out


@pytest.fixture(scope="module")
def diverged(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, str]:
    """Source models of which EM's wants more images than there are, REM's diverges, TAP's is sound."""
    folder = tmp_path_factory.mktemp("diverged")
    by_method = {"em": {"batch_size": 65}, "rem": {"lr": 1.0e30}, "clean": {"steps": 5}}
    project = finished.copied(folder).having(training("source_model", by_method=by_method), folder)
    return project, project.run("sources", ok=False)


def test_fewer_images_than_a_batch_are_refused(diverged: tuple[Project, str]) -> None:
    project, printed = diverged
    parts = ("batch_size is 65", "only 64 training images", "lower batch_size")
    assert_one_line(printed, "ERROR in rule source_model", *parts)
    assert not (project.work / "results/source_model/tiny/em/u16-a0/s0/model.safetensors").exists()


def test_a_loss_that_is_not_finite_stops_the_training(diverged: tuple[Project, str]) -> None:
    project, printed = diverged
    assert_one_line(printed, "ERROR in rule source_model", "the loss is nan at step", "lower lr")
    assert not (project.work / "results/source_model/tiny/rem/u16-a4/s0/model.safetensors").exists()
    assert not (project.work / "results/source_model/tiny/rem/u16-a4/s0/metrics.json").exists()


@no_gpu
def test_the_choice_of_the_cpu_is_told(diverged: tuple[Project, str]) -> None:
    log = diverged[0].read("logs/source_model/tiny/clean/u0-a0/s0.log")
    assert_one_line(log, "no usable GPU here: computing on the CPU (runtime.device: auto)")


@no_gpu
def test_a_gpu_that_is_asked_for_and_absent_is_an_error(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.work / "results/dataset", tmp_path / "study/work/results/dataset")
    project = Project(finished.repo, tmp_path / "study/work", finished.config, tmp_path / "none.yaml")
    source = "results/source_model/tiny/clean/u0-a0/s0/model.safetensors"
    printed = project.having({"runtime": {"device": "cuda"}}, tmp_path).run(source, ok=False)
    assert_one_line(printed, "runtime.device: cuda is asked for", "use auto or cpu")
    assert not (project.work / source).exists()


def test_a_noise_of_another_dataset_is_refused(finished: Project, tmp_path: Path) -> None:
    project = finished.copied(tmp_path)
    manifest = project.work / "results/noise/tiny/em/u16-a0/s0/manifest.json"
    content = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"dataset": "0" * 64}))
    perturbed = "results/perturbed/tiny/em/u16-a0/s0/p50"
    printed = project.run(f"{perturbed}/manifest.json", ok=False)
    parts = ("results/noise/tiny/em/u16-a0/s0", "made for another dataset", "results/dataset/tiny", "run the noise")
    assert_one_line(printed, "ERROR in rule perturbed_dataset", *parts)
    assert not (project.work / perturbed / "manifest.json").exists()


@pytest.mark.skipif(unshared("--mount", "--map-root-user") is None, reason="mounting a small disk is not permitted")
def test_a_full_disk_is_named_and_leaves_no_half_written_file(repo: Path, tiny: Config, tmp_path: Path) -> None:
    data = random_images(64, size=64)
    for split in ("train", "test"):
        write_split(tmp_path / f"images/{split}.parquet", data)
    description = dataset(tmp_path / "images", image_size=64)
    project = Project.new(repo, tmp_path / "study", tiny | {"datasets": {"tiny": description}})
    results = project.work / "results"
    results.mkdir()
    steps = 'mount -t tmpfs -o size=300k none "$0" && { "$@"; code=$?; find "$0" -type f; exit $code; }'
    within = (*(unshared("--mount", "--map-root-user") or ()), "sh", "-c", steps, str(results))
    printed = project.run("datasets", within=within, ok=False)
    assert_one_line(printed, "ERROR in rule dataset", "results/dataset/tiny/", "the disk is full")
    left = [line for line in printed.splitlines() if line.startswith(f"{results}/") and ".snakemake" not in line]
    assert not left
