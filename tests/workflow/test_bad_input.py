"""Bad input ends in one line that names what is wrong, where, and what would be right."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unlearnable import files

from .pipeline import (
    CLASSES,
    SIZE,
    Config,
    Project,
    checkout,
    dataset,
    laid_over,
    png,
    random_images,
    unshared,
    write_split,
)

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def assert_one_line(printed: str, *parts: str) -> None:
    """Some line holds all ``parts``."""
    assert any(all(part in line for part in parts) for line in printed.splitlines()), (parts, printed)


# ---- the configuration


def training(stage: str, **changes: Any) -> Config:
    return {stage: {"by_dataset": {"tiny": changes}}}


def tiny_experiment(**changes: Any) -> Config:
    return {"experiments": {"tiny": changes}}


VALUES: Config = {  # what is wrong by itself
    **training("victim", stepps=5),
    **training("source_model", steps=-5, lr="1e-3"),
    "methods": {"em": {"algorithm": "emn"}},
    **tiny_experiment(noises=[{"method": "em", "rho_u": [0, 256]}]),
}
STAGE: Config = {"victims": {"default": {"momentum": 0.5}}}
NAMES: Config = {  # what is wrong together with the rest
    "run": ["tini"],
    **training("source_model", network="small-cn"),
    **tiny_experiment(
        datasets=["tyni"],
        victims={"networks": ["resnet8"]},
        noises=[{"method": "remm", "rho_u": [8], "rho_a": [4]}, {"method": "em"}, {"method": "em", "rho_a": [4]}],
    ),
}
UNFIT: Config = tiny_experiment(
    victims=[
        {"networks": ["small-cnn"], "radii": [0], "countermeasures": ["none", "gray"]},
        {"networks": ["small-cnn"], "radii": [0, 4], "countermeasures": ["trades"]},
        {"networks": ["small-cnn"], "radii": [4], "countermeasures": ["jpg10"]},
    ],
)
MISFITS: Config = {  # what jobs would find out
    "datasets": {"tiny": {"classes": CLASSES[:2], "train_images": 64}},
    **training("victim", auto_attack=True),
    **training("source_model", batch_size=65),
    **tiny_experiment(victims={"networks": ["vgg16-bn"], "radii": [4]}),
}
OVERRIDES: Config = {"noise": {"by_dataset": {"tiny": {"by_method": {"em": {"k_a": 3}}}}}}

# By fault: the configuration that holds it, the text of its line, what the message must say.
FAULTS: dict[str, tuple[Config, str, tuple[str, ...]]] = {
    "misspelt key": (VALUES, "stepps: 5", ("victim.by_dataset.tiny.stepps: unknown key", "did you mean 'steps'?")),
    "misspelt stage": (STAGE, "victims:\n  default", ("victims: unknown key", "did you mean 'victim'?")),
    "number that YAML reads as text": (
        VALUES,
        "lr: 1e-3",
        ("source_model.by_dataset.tiny.lr:", "'1e-3'", "such as 1.0e-3"),
    ),
    "negative steps": (VALUES, "steps: -5", ("source_model.by_dataset.tiny.steps:", "or equal to 1", "not -5")),
    "unknown algorithm": (VALUES, "algorithm: emn", ("methods.em.algorithm: 'emn' does not exist", "'em'?")),
    "rho_u of zero": (VALUES, "- 0", ("experiments.tiny.noises.0.rho_u.0:", "greater than or equal to 1", "not 0")),
    "rho_u beyond 8 bits": (VALUES, "- 256", ("experiments.tiny.noises.0.rho_u.1:", "or equal to 255", "not 256")),
    "undefined experiment": (NAMES, "- tini", ("run.0: experiment 'tini' is not defined", "'tiny'?")),
    "unknown network": (
        NAMES,
        "network: small-cn",
        ("source_model.by_dataset.tiny.network: network 'small-cn' is not defined", "'small-cnn'?"),
    ),
    "unknown victim's network": (
        NAMES,
        "- resnet8",
        ("experiments.tiny.victims.networks.0: network 'resnet8' is not defined", "'resnet18'?"),
    ),
    "unknown dataset": (NAMES, "- tyni", ("experiments.tiny.datasets.0: dataset 'tyni' is not defined", "'tiny'?")),
    "undefined noise": (
        NAMES,
        "method: remm",
        ("experiments.tiny.noises.0.method: noise 'remm' is not defined", "'rem'?"),
    ),
    "missing radius": (NAMES, "method: em", ("experiments.tiny.noises.1.rho_u: em needs a list of radii", "[8]")),
    "radius that the method does not have": (
        NAMES,
        "rho_a:\n      - 4\n    protected",
        ("experiments.tiny.noises.2.rho_a: em has no such radius", "remove this key"),
    ),
    "counter-measure that does not fit the channels": (
        UNFIT,
        "- gray",
        ("experiments.tiny.victims.0.countermeasures.1: 'gray' does not fit 'tiny'", "1 channel"),
    ),
    "adversarial counter-measure without a radius": (
        UNFIT,
        "- trades",
        ("experiments.tiny.victims.1.countermeasures.0: 'trades'", "radii must be greater than 0"),
    ),
    "unknown counter-measure": (
        UNFIT,
        "- jpg10",
        ("experiments.tiny.victims.2.countermeasures.0: counter-measure 'jpg10' is not defined", "'jpeg10'?"),
    ),
    "AutoAttack on two classes": (
        MISFITS,
        "auto_attack: true",
        ("victim.by_dataset.tiny.auto_attack: AutoAttack needs 3 classes or more, but 'tiny' has 2",),
    ),
    "network that is too deep for the images": (
        MISFITS,
        "- vgg16-bn",
        ("experiments.tiny.victims.networks.0: 'vgg16-bn' with stem cifar", "32 or more", "image_size: 8"),
    ),
    "batch that is larger than the dataset": (
        MISFITS,
        "batch_size: 65",
        ("source_model.by_dataset.tiny.batch_size: batch_size is 65", "only 64 training images"),
    ),
    "key that the method does not have": (
        OVERRIDES,
        "k_a: 3",
        ("noise.by_dataset.tiny.by_method.em.k_a: ", "'em'", "no such key", "'k_u'?"),
    ),
}


@pytest.fixture(scope="module")
def refusals(
    repo: Path, tiny: Config, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Config], tuple[Project, str]]:
    """The study with some faults in its configuration, and what a run says to it."""
    seen: dict[int, tuple[Project, str]] = {}

    def refusal(faults: Config) -> tuple[Project, str]:
        if id(faults) not in seen:
            folder = tmp_path_factory.mktemp("faults")
            project = Project.new(repo, folder, tiny).having(faults, folder)
            seen[id(faults)] = project, project.run("all", ok=False)
        return seen[id(faults)]

    return refusal


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_configuration_is_named_with_file_and_line(
    refusals: Callable[[Config], tuple[Project, str]], fault: str
) -> None:
    faults, text, parts = FAULTS[fault]
    project, printed = refusals(faults)
    written = project.study.read_text()
    line = written[: written.index(text)].count("\n") + 1
    assert_one_line(printed, f"{project.study}:{line}: ", *parts)
    assert "Traceback" not in printed
    assert not (project.work / "results").exists()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_snakemake_would_misread_is_refused_in_every_file_before_it_reads_the_shipped_ones(
    tiny: Config, tmp_path: Path, encoding: str
) -> None:
    project = Project.new(checkout(tmp_path / "repo"), tmp_path, tiny)
    shipped, study = project.repo / "config/datasets.yaml", project.study
    lines = [path.read_text(encoding="utf-8").count("\n") for path in (shipped, study)]
    shipped.write_text(shipped.read_text(encoding="utf-8") + "datasets: {}\n", encoding)
    with study.open("a") as file:
        file.write("runtime:\n  checkpoint_seconds: 1:20\nrun: [other]\n")
    printed = project.run("-n", ok=False)
    assert "Traceback" not in printed
    if encoding != "utf-8":
        assert_one_line(printed, f"{shipped}:1: the file is UTF-16 or no text; save it as UTF-8")
        return
    assert_one_line(printed, f"{shipped}:{lines[0] + 1}: datasets: this key is already in line ")
    assert_one_line(
        printed, f"{study}:{lines[1] + 2}: runtime.checkpoint_seconds: YAML reads 1:20 as the number 80; write"
    )
    assert_one_line(printed, f"{study}:{lines[1] + 3}: run: this key is already in line 1, ")


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


def coloured(folder: Path) -> None:
    draws = np.random.default_rng(0)
    red = png(draws.integers(0, 256, (SIZE, SIZE, 3), np.uint8))
    write_split(folder / "train.parquet", [*images()[:3], red, *images()[4:]])


def class_folders(folder: Path, names: list[str] = CLASSES[:2]) -> None:
    """An image folder, without its last class unless told."""
    for split in ("train", "test"):
        for number, name in enumerate(names):
            (folder / split / name).mkdir(parents=True)
            for row, data in enumerate(random_images(4, seed=number)):
                (folder / split / name / f"{row}.png").write_bytes(data)


def unusable_files(folder: Path) -> None:
    class_folders(folder, CLASSES)
    (folder / "train/cat/blank.png").write_bytes(b"")
    frames = [Image.new("L", (SIZE, SIZE), level) for level in (0, 255)]
    frames[0].save(folder / "train/dog/moving.gif", save_all=True, append_images=frames[1:])


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
    "channels": (coloured, {}, ("{folder}/train.parquet, row 3: a colour image, but channels is 1",)),
    "class-folder": (class_folders, {"kind": "folder"}, ("{folder}", "owl")),
    "unusable-files": (
        unusable_files,
        {"kind": "folder", "channels": 3},
        ("2 of ", "cat/blank.png: empty (0 bytes)", "dog/moving.gif", "frames"),
    ),
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
    axes = {"datasets": list(config["datasets"]), "noises": [{"method": "clean"}], "products": ["accuracy-table"]}
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
    """Source models of which EM's diverges in its last step, REM's before that, and TAP's is sound."""
    folder = tmp_path_factory.mktemp("diverged")
    by_method = {"em": {"lr": 1.0e38, "steps": 1}, "rem": {"lr": 1.0e30}, "clean": {"steps": 5}}
    project = finished.copied(folder).having(training("source_model", by_method=by_method), folder)
    return project, project.run("sources", ok=False)


def test_fewer_images_than_a_batch_are_refused_before_anything_runs(finished: Project, tmp_path: Path) -> None:
    project = finished.having(training("source_model", by_method={"em": {"batch_size": 65}}), tmp_path)
    printed = project.run("sources", "-n", ok=False)
    line = project.study.read_text().partition("batch_size: 65")[0].count("\n") + 1
    parts = ("batch_size is 65", "only 64 training images", "lower batch_size")
    assert_one_line(printed, f"{project.study}:{line}: source_model.by_dataset.tiny.by_method.em.batch_size: ", *parts)
    assert "Traceback" not in printed
    project.run("datasets", "-n")


def test_a_source_model_that_diverges_in_its_last_step_is_not_kept(diverged: tuple[Project, str]) -> None:
    project, printed = diverged
    assert_one_line(printed, "ERROR in rule source_model", "not finite", "at step 1", "lower lr")
    assert not (project.work / "results/source_model/tiny/em/u16-a0/s0/model.safetensors").exists()


def test_a_loss_that_is_not_finite_stops_the_training(diverged: tuple[Project, str]) -> None:
    project, printed = diverged
    assert_one_line(printed, "ERROR in rule source_model", "nan", "at step", "lower lr")
    assert not (project.work / "results/source_model/tiny/rem/u16-a4/s0/model.safetensors").exists()
    assert not (project.work / "results/source_model/tiny/rem/u16-a4/s0/metrics.json").exists()


@no_gpu
def test_the_choice_of_the_cpu_is_told(diverged: tuple[Project, str]) -> None:
    log = diverged[0].read("logs/source_model/tiny/clean/u0-a0/s0.log")
    assert_one_line(log, "no usable GPU here: computing on the CPU (runtime.device: auto)")


@no_gpu
def test_a_gpu_that_is_asked_for_and_absent_is_an_error(finished: Project, tmp_path: Path) -> None:
    shutil.copytree(finished.work / "results/dataset", tmp_path / "study/run/results/dataset")
    project = Project(finished.repo, tmp_path / "study/run", finished.config, tmp_path / "none.yaml")
    source = "results/source_model/tiny/clean/u0-a0/s0/model.safetensors"
    printed = project.having({"runtime": {"device": "cuda"}}, tmp_path).run(source, ok=False)
    assert_one_line(printed, "runtime.device: cuda is requested", "use auto or cpu")
    assert not (project.work / source).exists()


def test_a_noise_of_another_dataset_is_refused(finished: Project, tmp_path: Path) -> None:
    project = finished.copied(tmp_path)
    manifest = project.work / "results/noise/tiny/em/u16-a0/s0/manifest.json"
    files.write_json(manifest, files.read_json(manifest) | {"dataset": "0" * 64})
    perturbed = "results/perturbed/tiny/em/u16-a0/s0/p50"
    (project.work / perturbed / "manifest.json").unlink()
    printed = project.run(f"{perturbed}/manifest.json", ok=False)
    parts = ("results/noise/tiny/em/u16-a0/s0", "made for another dataset", "results/dataset/tiny", "run the noise")
    assert_one_line(printed, "ERROR in rule perturbed_dataset", *parts)
    assert not (project.work / perturbed / "manifest.json").exists()


def run_on_small_disk(project: Project, size: str, target: str) -> str:
    """Run a target that must fail, with ``results`` on a disk of ``size``; lists the files there at the end."""
    (project.work / "results").mkdir()
    steps = 'mount -t tmpfs -o size=$0 none "$1" && cd "$1" && shift && { "$@"; code=$?; find . -type f; exit $code; }'
    within = (*(unshared("--mount", "--map-root-user") or ()), "sh", "-c", steps, size, str(project.work / "results"))
    return project.run(target, within=within, ok=False)


def files_listed(printed: str) -> set[str]:
    return {line for line in printed.splitlines() if line.startswith("./") and "/.snakemake" not in line}


needs_small_disk = pytest.mark.skipif(
    unshared("--mount", "--map-root-user") is None, reason="mounting a small disk (unshare, mount) is not permitted"
)


@needs_small_disk
def test_a_full_disk_is_named_and_leaves_no_half_written_file(repo: Path, tiny: Config, tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_split(tmp_path / f"images/{split}.parquet", random_images(64, size=64))
    description = dataset(tmp_path / "images", image_size=64)
    project = Project.new(repo, tmp_path / "study", tiny | {"datasets": {"tiny": description}})
    printed = run_on_small_disk(project, "300k", "datasets")
    assert_one_line(printed, "ERROR in rule dataset", "results/dataset/tiny/", "the disk is full")
    assert files_listed(printed) == set()


@needs_small_disk
def test_a_full_disk_is_named_when_a_checkpoint_does_not_fit(repo: Path, tiny: Config, tmp_path: Path) -> None:
    slow = laid_over(tiny, training("source_model", by_method={"em": {"steps": 2000}}))
    project = Project.new(repo, tmp_path / "study", laid_over(slow, {"runtime": {"checkpoint_seconds": 1}}))
    printed = run_on_small_disk(project, "120k", "results/source_model/tiny/em/u16-a0/s0/model.safetensors")
    assert_one_line(printed, "ERROR in rule source_model", "model.checkpoint.pt: the disk is full")
    dataset_files = {"manifest.json", "images-00000.npy", "images-00001.npy", "labels.npy"}
    assert {line.rpartition("/")[2] for line in files_listed(printed)} == dataset_files
