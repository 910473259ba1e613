"""What a study would cost, from its settings alone: its jobs and their passes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from unlearnable import registry
from unlearnable.datasets.protected import protected_rows
from unlearnable.datasets.size import Size
from unlearnable.errors import UserError
from unlearnable.noises.given.cost import ReadingWork
from unlearnable.noises.ntga.cost import KernelWork
from unlearnable.noises.pil.cost import LinearWork
from unlearnable.study.cells import NOISE, VICTIM, Noise, Perturbed, Victim, path
from unlearnable.study.presets import preset_file
from unlearnable.study.study import Study
from unlearnable.tools.plan import passes
from unlearnable.tools.plan.jobs import PlannedJob, count_by_rule, parse
from unlearnable.tools.plan.reading import ROOT, UNDER, read_study
from unlearnable.tools.plan.tasks import Planner, published_rows
from unlearnable.training.work import Amount, NetworkWork

SHAPE = (3, 32, 32)
CIFAR = 50_000


@pytest.fixture(scope="module")
def study() -> Study:
    """The default study, which holds the paper's experiments."""
    return read_study()


# ---- the configuration


def test_the_default_files_are_those_of_the_snakefile_in_its_order() -> None:
    named = re.findall(r'^configfile: f"{workflow.basedir}/(.+)"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert [ROOT / name for name in named] == UNDER


def test_a_file_is_laid_over_the_defaults_key_by_key_and_lists_are_replaced(study: Study, tmp_path: Path) -> None:
    changed = tmp_path / "study.yaml"
    changed.write_text("victim: {by_dataset: {fashion-mini: {steps: 7}}}\nexperiments: {radius: {seeds: [5]}}\n")
    laid: Any = read_study(changed).settings
    assert laid.victim.by_dataset["fashion-mini"]["steps"] == 7
    default: Any = study.settings
    assert laid.victim.by_dataset["fashion-mini"]["k_a"] == default.victim.by_dataset["fashion-mini"]["k_a"]
    assert laid.experiments["radius"].seeds == [5]


def test_a_fault_is_named_with_file_line_and_key(tmp_path: Path) -> None:
    faulty = tmp_path / "study.yaml"
    faulty.write_text("victim:\n  default: {stepps: 5}\n")
    with pytest.raises(UserError) as raised:
        read_study(faulty)
    assert str(raised.value) == f"{faulty}:2: victim.default.stepps: unknown key; did you mean 'steps'?"


def test_a_kind_of_dataset_that_does_not_exist_is_named_with_its_line(tmp_path: Path) -> None:
    faulty = tmp_path / "study.yaml"
    faulty.write_text("datasets:\n  mine:\n    kind: foldr\n    image_size: 8\n    classes: [a, b]\n")
    with pytest.raises(UserError) as raised:
        read_study(faulty)
    assert str(raised.value) == f"{faulty}:3: datasets.mine.kind: 'foldr' does not exist; did you mean 'folder'?"


@pytest.mark.parametrize("content", [None, "run: [radius\n", "run: [a]\nrun: [b]\n"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    broken = tmp_path / "study.yaml"
    if content is not None:
        broken.write_text(content)
    with pytest.raises(UserError, match=re.escape(str(broken))):
        read_study(broken)


# ---- jobs

SUMMARY = """output_file\tdate\trule\tlog-file(s)\tstatus\tplan
results/noise/d/rem/u8-a4/s0/shards/0-of-2.npy\t-\tnoise\t-\tok\tno update
results/noise/d/rem/u8-a4/s0/shards/0-of-2.json\t-\tnoise\t-\tok\tno update
results/noise/d/rem/u8-a4/s0/shards/1-of-2.npy\t-\tnoise\t-\tmissing\tupdate pending
results/noise/d/rem/u8-a4/s0/shards/1-of-2.json\t-\tnoise\t-\tmissing\tupdate pending
results/dataset/d/manifest.json\t-\tdataset\t-\tok\tno update
results/dataset/d/train\t-\tdataset\t-\tmissing\tupdate pending
results/tables/e/accuracy.csv\t-\ttable\t-\tmissing\tupdate pending
results/tables/e/cost.csv\t-\ttable\t-\tmissing\tupdate pending
"""


def test_a_job_is_done_when_none_of_its_outputs_is_to_be_written_again() -> None:
    shard = "results/noise/d/rem/u8-a4/s0/shards/{}-of-2"
    assert parse(SUMMARY) == {
        PlannedJob("noise", shard.format(0)): True,
        PlannedJob("noise", shard.format(1)): False,
        PlannedJob("dataset", "results/dataset/d"): False,
        PlannedJob("table", "results/tables/e/accuracy"): False,
        PlannedJob("table", "results/tables/e/cost"): False,
    }


def test_jobs_are_counted_by_rule_in_the_order_of_the_stages() -> None:
    assert count_by_rule(parse(SUMMARY)) == [
        ("dataset", 1, 0),
        ("noise", 2, 1),
        ("table", 2, 0),
    ]


# ---- passes


def total(amounts: list[Amount]) -> int:
    return sum(amount.passes for amount in amounts)


@pytest.mark.parametrize(
    ("method", "rho_a", "source", "noise"),
    [
        ("rem", 4, 5000 * 561, 391 * 550),  # Fu et al.: 2.805 million, and the noise pass
        ("rem", 0, 5000 * 51, 391 * 50),  # an adversary without a radius takes no steps
        ("sem", 4, 5000 * 61, 391 * 50),
        ("sem", 0, 5000 * 51, 391 * 50),
        ("clean-uniform", 4, 5000 * 62, 391 * 50),  # a pass of clean images more than sem
        ("rem-fast", 0, 5000 * 21, 391 * 20),
        ("em", 0, 5000 * 11, 391 * 10),
        ("tap", 0, 40_000, 391 * 2000),  # the source model is the clean training
        ("entf-push", 4, 39_000 * 11, 391 * 300),  # 100 epochs of adversarial training on clean images
        ("entf-pull", 0, 39_000, 391 * 300),
        ("mi-ue", 0, 5000 * 11, 391 * 50 + 200),  # 50 steps of 512 companions first
        ("em-classwise", 0, 5000 * 2, 782),  # 10 rounds over a fifth of the images, whatever the shard
    ],
)
def test_passes_of_source_model_and_noise(study: Study, method: str, rho_a: int, source: int, noise: int) -> None:
    cell = Noise("cifar10", method, 8, rho_a, 0)
    trained = study.source_of(cell)
    assert trained is not None
    training = study.source_settings(trained)
    assert total(passes.of_source_model(training, SHAPE, 10)) == source
    assert total(passes.of_noise(study.noise_settings(cell), SHAPE, 10, CIFAR, CIFAR)) == noise


@pytest.mark.parametrize("method", ["lsp", "ops", "ar", "cuda"])
def test_a_noise_without_a_network_takes_no_work_that_could_be_timed(study: Study, method: str) -> None:
    assert passes.of_noise(study.noise_settings(Noise("cifar10", method, 0, 0, 0)), SHAPE, 10, CIFAR, CIFAR) == []


def test_a_given_noise_takes_no_passes_and_is_read_whole_by_every_shard(study: Study) -> None:
    given = {"algorithm": "given", "path": "a.npy", "content": "noise", "unit": "levels", "radius": 8}
    other = study.noise_settings(Noise("cifar10", "lsp", 0, 0, 0))
    settings = other.model_copy(update={"method": registry.validated("noises", given)})
    (amount,) = passes.of_noise(settings, SHAPE, 10, CIFAR // 2, CIFAR)
    assert amount == Amount(ReadingWork(SHAPE), CIFAR, 0)
    with amount.kind.prepared(torch.device("cpu")) as once:
        once(3)
    settings = other.model_copy(update={"method": registry.validated("noises", given | {"per": "class"})})
    assert passes.of_noise(settings, SHAPE, 10, CIFAR, CIFAR) == [Amount(ReadingWork(SHAPE), 10, 0)]


def test_ntga_takes_steps_of_a_kernel_and_no_passes(study: Study) -> None:
    settings = study.noise_settings(Noise("cifar10", "ntga", 8, 0, 0))
    (amount,) = passes.of_noise(settings, SHAPE, 10, CIFAR, CIFAR)
    assert amount == Amount(KernelWork(SHAPE, 10, 512, 512, "erf"), 10 * CIFAR, 0)


def test_pil_takes_products_of_matrices_and_no_passes(study: Study) -> None:
    settings = study.noise_settings(Noise("cifar10", "pil", 8, 0, 0))
    assert passes.of_noise(settings, SHAPE, 10, CIFAR, CIFAR) == [
        Amount(LinearWork("learn", 3072, 10, 512), 30 * CIFAR),
        Amount(LinearWork("descend", 3072, 10, 128), 30 * CIFAR),
    ]


@pytest.mark.parametrize(
    ("countermeasure", "radius", "expected"),
    [("none", 0, 40_000), ("none", 4, 440_000), ("trades", 4, 480_000), ("mart", 4, 480_000), ("jpeg10", 0, 40_000)],
)
def test_passes_of_a_victim(study: Study, countermeasure: str, radius: int, expected: int) -> None:
    cell = Victim("cifar10", "clean", 0, 0, 0, 0, "resnet18", countermeasure, radius, 0)
    robust_evaluation = 20 * 10_000 // 250 if radius else 0
    amounts = passes.of_victim(study.victim_settings(cell), SHAPE, 10, CIFAR, 10_000)
    assert total(amounts) == expected + robust_evaluation
    looked_at = [amount.images for amount in amounts if getattr(amount.kind, "work", "") == "forward"]
    assert looked_at == [40 * 10_000 + CIFAR]


def test_no_more_test_images_are_attacked_than_there_are(study: Study) -> None:
    cell = Victim("cifar10", "clean", 0, 0, 0, 0, "resnet18", "none", 4, 0)
    settings = study.victim_settings(cell)
    assert total(passes.of_victim(settings, SHAPE, 10, CIFAR, 130)) == 440_000 + 11  # 2,600 / 250


@pytest.mark.parametrize(
    ("method", "side"), [("em", 256), ("em-classwise", 256), ("rem", 224), ("rem-no-eot", 256), ("sem", 224)]
)
def test_images_are_timed_in_the_size_that_the_network_sees(study: Study, method: str, side: int) -> None:
    settings = study.noise_settings(Noise("imagenet100", method, 8, 4, 0))
    (amount,) = passes.of_noise(settings, (3, 256, 256), 100, 1000, 1000)
    assert isinstance(amount.kind, NetworkWork)
    assert amount.kind.shape == (3, side, side)
    cell = Victim("imagenet100", "clean", 0, 0, 0, 0, "resnet18", "none", 4, 0)
    of_victim = passes.of_victim(study.victim_settings(cell), (3, 256, 256), 100, 1000, 100)
    assert {getattr(amount.kind, "shape", None) for amount in of_victim} == {(3, 224, 224)}


# ---- tasks


def planner(study: Study, rows: int | None, done: Callable[[PlannedJob], bool] = lambda job: False) -> Planner:
    """The default study's tasks as if its dataset had so many training images, half as many of them for tests."""
    run = study.settings.run
    jobs = [PlannedJob("dataset", "results/dataset/fashion-mini")]
    for cell in study.noises(*run):
        every = study.shards(cell.dataset, cell.method)
        jobs += [PlannedJob("noise", f"{path(NOISE, cell)}/shards/{shard}-of-{every}") for shard in range(every)]
        jobs.append(PlannedJob("merge_noise", path(NOISE, cell)))
    jobs += [PlannedJob("victim", path(VICTIM, cell)) for cell in study.victims(*run)]
    size = Size(rows, None if rows is None else rows // 2, "made up")
    return Planner(study, {job: done(job) for job in jobs}, {"fashion-mini": size}, {"fashion-mini": 0.5})


def test_shards_together_take_the_passes_of_the_whole_noise(tmp_path: Path) -> None:
    taken = []
    for number in (1, 3):
        file = tmp_path / f"{number}.yaml"
        file.write_text(f"noise: {{default: {{shards: {number}}}}}\n")
        tasks = planner(read_study(file), 1001).tasks()
        taken.append(sum(task.passes for task in tasks if task.stage == "noise"))
        assert len([task for task in tasks if task.stage == "noise" and task.rows]) == 12 * number
    assert taken[0] == taken[1] > 0


def test_what_is_not_among_the_jobs_of_the_run_is_no_task(study: Study) -> None:
    stages = {task.stage for task in planner(study, 1000).tasks()}
    assert stages == {"dataset", "noise", "victim"}  # the planner above leaves out source models and published data


def test_without_the_number_of_images_training_still_counts(study: Study) -> None:
    tasks = planner(study, None).tasks()
    assert sum(task.passes for task in tasks if task.stage == "noise") == 0
    assert sum(task.passes for task in tasks if task.stage == "victim") == 30 * 300 + 15 * 300 * 3  # no evaluation


def test_the_clean_rest_has_the_rows_that_are_published() -> None:
    labels = np.arange(137) % 3
    for share in (0, 20, 55):
        cell = Perturbed("d", "clean", 0, 0, 0, share)
        assert published_rows(cell, 137) == (~protected_rows(labels, share, 0)).sum()
    assert published_rows(Perturbed("d", "em", 8, 0, 0, 20), 137) == 137


def test_the_preset_for_cpus_gives_an_own_dataset_the_default_study_s_budgets(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    described = {"kind": "folder", "root": "photos", "image_size": 32, "resize": "squash", "classes": ["cat", "dog"]}
    noises = [{"method": "clean"}, {"method": "rem", "rho_u": [8], "rho_a": [4]}]
    experiment = {
        "datasets": ["mine"],
        "noises": noises,
        "victims": {"networks": ["small-cnn"], "radii": [0, 4]},
        "products": ["accuracy-table"],
    }
    augmented = described | {"augmentation": {"flip": True, "crop_padding": 4}}
    study = {"run": ["mine"], "datasets": {"mine": augmented}, "experiments": {"mine": experiment}}
    own.write_text(yaml.safe_dump(study))
    of_default = read_study()
    small = read_study(preset_file("cpu"), own)
    (noise,) = small.noises("mine")
    of_mine, of_paper = small.source_settings(noise), read_study(own).source_settings(noise)
    (default,) = [cell for cell in of_default.sources("radius") if cell.method == "sem" and cell.seed == 0]
    assert of_mine.training == of_default.source_settings(default).training
    assert of_mine.training.steps * 20 == of_paper.training.steps
    assert (of_mine.method.k_a, of_mine.method.j) == (3, 2)  # type: ignore[attr-defined]
    assert {small.victim_settings(cell).training.steps for cell in small.victims("mine")} == {300}
