"""What a study would cost, from its settings alone: jobs, passes, images, bytes, and how it is said."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from unlearnable import files, registry
from unlearnable.datasets import shards
from unlearnable.datasets.protected import protected_rows
from unlearnable.datasets.size import Size
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.networks.build import create, save
from unlearnable.networks.facts import weight_bytes
from unlearnable.noises.ntga.cost import KernelWork
from unlearnable.stages.perturbed_dataset import publish
from unlearnable.stages.settings.noise import NoiseSettings
from unlearnable.stages.settings.source_model import SourceModelSettings
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.study.cells import NOISE, VICTIM, Noise, Perturbed, Victim, path
from unlearnable.study.schema import AnyDataset as Dataset
from unlearnable.study.study import Study
from unlearnable.tools.plan import passes, report, space
from unlearnable.tools.plan.calibration import Speed
from unlearnable.tools.plan.jobs import Job, count_by_rule, parse
from unlearnable.tools.plan.publishing import PublishingWork
from unlearnable.tools.plan.reading import ROOT, UNDER, read_study
from unlearnable.tools.plan.sizes import size_of
from unlearnable.tools.plan.tasks import Planner, Task, checked, published_rows
from unlearnable.tools.plan.text import bytes_text, count, duration
from unlearnable.tools.plan.times import Times, compare, kinds_of, rates, recorded
from unlearnable.training.work import Amount, NetworkWork

SHAPE = (3, 32, 32)
CIFAR = 50_000


@pytest.fixture(scope="module")
def study() -> Study:
    """The default study, which holds the paper's experiments."""
    return read_study(None)


# ---- the configuration


def test_the_default_files_are_those_of_the_snakefile_in_its_order() -> None:
    named = re.findall(r'^configfile: f"{workflow.basedir}/(.+)"$', (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert [ROOT / name for name in named] == UNDER


def test_a_file_is_laid_over_the_defaults_key_by_key_and_lists_are_replaced(study: Study, tmp_path: Path) -> None:
    changed = tmp_path / "study.yaml"
    changed.write_text("victim: {by_dataset: {fashion-mini: {steps: 7}}}\nexperiments: {radius: {seeds: [5]}}\n")
    laid: Any = read_study(changed).settings
    assert laid.victim.by_dataset["fashion-mini"].steps == 7
    default: Any = study.settings
    assert laid.victim.by_dataset["fashion-mini"].k_a == default.victim.by_dataset["fashion-mini"].k_a
    assert laid.experiments["radius"].seeds == [5]


def test_a_fault_is_named_with_file_line_and_key(tmp_path: Path) -> None:
    faulty = tmp_path / "study.yaml"
    faulty.write_text("victim:\n  default: {stepps: 5}\n")
    with pytest.raises(UserError) as raised:
        read_study(faulty)
    assert str(raised.value) == f"{faulty}:2: victim.default.stepps: unknown key; did you mean 'steps'?"


@pytest.mark.parametrize("content", [None, "run: [radius\n"])
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
results/tables/e/accuracy.csv\t-\taccuracy_table\t-\tmissing\tupdate pending
results/tables/e/cost.csv\t-\tcost_table\t-\tmissing\tupdate pending
"""


def test_a_job_is_done_when_none_of_its_outputs_is_to_be_written_again() -> None:
    shard = "results/noise/d/rem/u8-a4/s0/shards/{}-of-2"
    assert parse(SUMMARY) == {
        Job("noise", shard.format(0)): True,
        Job("noise", shard.format(1)): False,
        Job("dataset", "results/dataset/d"): False,
        Job("accuracy_table", "results/tables/e"): False,
        Job("cost_table", "results/tables/e"): False,
    }


def test_jobs_are_counted_by_rule_in_the_order_of_the_stages() -> None:
    assert count_by_rule(parse(SUMMARY)) == [
        ("dataset", 1, 0),
        ("noise", 2, 1),
        ("accuracy_table", 1, 0),
        ("cost_table", 1, 0),
    ]


# ---- passes


def noise_settings(study: Study, cell: Noise) -> NoiseSettings:
    return checked(NoiseSettings, study.noise_config(cell))


def total(amounts: list[Amount]) -> int:
    return sum(amount.passes for amount in amounts)


@pytest.mark.parametrize(
    ("method", "rho_a", "source", "noise"),
    [
        ("rem", 4, 5000 * 561, 391 * 550),  # Fu et al.: 2.805 million, and the noise pass
        ("rem", 0, 5000 * 51, 391 * 50),  # an adversary without a radius takes no steps
        ("sem", 4, 5000 * 61, 391 * 50),
        ("sem", 0, 5000 * 51, 391 * 50),
        ("rem-fast", 0, 5000 * 21, 391 * 20),
        ("em", 0, 5000 * 11, 391 * 10),
        ("tap", 0, 40_000, 391 * 2000),  # the source model is the clean training
        ("em-classwise", 0, 5000 * 2, 782),  # 10 rounds over a fifth of the images, whatever the shard
    ],
)
def test_passes_of_source_model_and_noise(study: Study, method: str, rho_a: int, source: int, noise: int) -> None:
    cell = Noise("cifar10", method, 8, rho_a, 0)
    trained = study.source_of(cell)
    assert trained is not None
    training = checked(SourceModelSettings, study.source_config(trained))
    assert total(passes.of_source_model(training, SHAPE, 10)) == source
    assert total(passes.of_noise(noise_settings(study, cell), SHAPE, 10, CIFAR, CIFAR)) == noise


@pytest.mark.parametrize("method", ["lsp", "ops", "ar", "cuda"])
def test_a_noise_without_a_network_takes_no_work_that_could_be_timed(study: Study, method: str) -> None:
    assert passes.of_noise(noise_settings(study, Noise("cifar10", method, 0, 0, 0)), SHAPE, 10, CIFAR, CIFAR) == []


def test_ntga_takes_steps_of_a_kernel_and_no_passes(study: Study) -> None:
    settings = noise_settings(study, Noise("cifar10", "ntga", 8, 0, 0))
    (amount,) = passes.of_noise(settings, SHAPE, 10, CIFAR, CIFAR)
    assert amount == Amount(KernelWork(SHAPE, 10, 512, 512, "relu"), 10 * CIFAR, 0)


@pytest.mark.parametrize(
    ("countermeasure", "radius", "expected"),
    [("none", 0, 40_000), ("none", 4, 440_000), ("trades", 4, 480_000), ("mart", 4, 480_000), ("jpeg10", 0, 40_000)],
)
def test_passes_of_a_victim(study: Study, countermeasure: str, radius: int, expected: int) -> None:
    cell = Victim("cifar10", "clean", 0, 0, 0, 0, "resnet18", countermeasure, radius)
    robust_evaluation = 20 * 10_000 // 250 if radius else 0
    amounts = passes.of_victim(checked(VictimSettings, study.victim_config(cell)), SHAPE, 10, CIFAR, 10_000)
    assert total(amounts) == expected + robust_evaluation
    looked_at = [amount.images for amount in amounts if getattr(amount.kind, "work", "") == "forward"]
    assert looked_at == [40 * 10_000 + CIFAR]


def test_no_more_test_images_are_attacked_than_there_are(study: Study) -> None:
    cell = Victim("cifar10", "clean", 0, 0, 0, 0, "resnet18", "none", 4)
    settings = checked(VictimSettings, study.victim_config(cell))
    assert total(passes.of_victim(settings, SHAPE, 10, CIFAR, 130)) == 440_000 + 11  # 2,600 / 250


@pytest.mark.parametrize(
    ("method", "side"), [("em", 256), ("em-classwise", 256), ("rem", 224), ("rem-no-eot", 256), ("sem", 224)]
)
def test_images_are_timed_in_the_size_that_the_network_sees(study: Study, method: str, side: int) -> None:
    settings = noise_settings(study, Noise("imagenet100", method, 8, 4, 0))
    (amount,) = passes.of_noise(settings, (3, 256, 256), 100, 1000, 1000)
    assert isinstance(amount.kind, NetworkWork)
    assert amount.kind.shape == (3, side, side)
    cell = Victim("imagenet100", "clean", 0, 0, 0, 0, "resnet18", "none", 4)
    of_victim = passes.of_victim(checked(VictimSettings, study.victim_config(cell)), (3, 256, 256), 100, 1000, 100)
    assert {getattr(amount.kind, "shape", None) for amount in of_victim} == {(3, 224, 224)}


# ---- tasks


def planner(study: Study, rows: int | None, done: Callable[[Job], bool] = lambda job: False) -> Planner:
    """The default study's tasks as if its dataset had so many training images, half as many of them for tests."""
    run = study.settings.run
    jobs = [Job("dataset", "results/dataset/fashion-mini")]
    for cell in study.noises(*run):
        every = study.shards(cell.dataset, cell.method)
        jobs += [Job("noise", f"{path(NOISE, cell)}/shards/{shard}-of-{every}") for shard in range(every)]
        jobs.append(Job("merge_noise", path(NOISE, cell)))
    jobs += [Job("victim", path(VICTIM, cell)) for cell in study.victims(*run)]
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
    assert sum(task.passes for task in tasks if task.stage == "victim") == 30 * 250 + 15 * 250 * 2  # no evaluation


def test_the_clean_rest_has_the_rows_that_are_published() -> None:
    labels = np.arange(137) % 3
    for share in (0, 20, 55):
        cell = Perturbed("d", "clean", 0, 0, 0, share)
        assert published_rows(cell, 137) == (~protected_rows(labels, share, 0)).sum()
    assert published_rows(Perturbed("d", "em", 8, 0, 0, 20), 137) == 137


# ---- numbers of images


def described(**keys: Any) -> Dataset:
    made: Dataset = TypeAdapter(Dataset).validate_python({"image_size": 8, "classes": ["cat", "dog", "owl"]} | keys)
    return made


@pytest.mark.parametrize(
    ("keys", "train", "test"),
    [
        ({"kind": "cifar", "variant": "cifar10"}, 50_000, 10_000),
        ({"kind": "svhn"}, 73_257, 26_032),
        ({"kind": "tiny-imagenet"}, 100_000, 10_000),
        ({"kind": "mnist", "variant": "MNIST", "root": "not-there"}, 60_000, 10_000),
        ({"kind": "imagenet", "root": "not-there"}, 3 * 1281, 150),
        ({"kind": "cifar", "variant": "cifar10", "validation": 5000}, 45_000, 5000),
        ({"kind": "svhn", "train_images": 300, "test_images": 10**6}, 300, 26_032),
        ({"kind": "cifar", "variant": "cifar10", "sha256": "0" * 64}, None, None),
    ],
)
def test_official_sizes(tmp_path: Path, keys: dict[str, Any], train: int | None, test: int | None) -> None:
    found = size_of(described(**keys), tmp_path, None)
    assert (found.train, found.test) == (train, test)


def test_rows_of_parquet_files_are_counted(
    tmp_path: Path, write_parquet_images: Callable[..., None], encode_png: Callable[..., bytes]
) -> None:
    image = encode_png(np.zeros((8, 8, 3), np.uint8))
    for name, rows in (("train-00000-of-00002", 4), ("train-00001-of-00002", 3), ("test", 2)):
        write_parquet_images(tmp_path / f"{name}.parquet", [image] * rows, [0] * rows)
    found = size_of(described(kind="parquet", root=str(tmp_path)), tmp_path, None)
    assert found == Size(7, 2, "counted on disk")


def test_parquet_files_that_would_be_refused_are_not_counted(
    tmp_path: Path, write_parquet_images: Callable[..., None], encode_png: Callable[..., bytes]
) -> None:
    for name in ("train", "train_old", "test"):
        write_parquet_images(tmp_path / f"{name}.parquet", [encode_png(np.zeros((8, 8, 3), np.uint8))], [0])
    found = size_of(described(kind="parquet", root=str(tmp_path)), tmp_path, None)
    assert (found.train, found.test) == (None, None)
    assert "train.parquet, train_old.parquet are more than one set" in found.source


def test_sizes_are_found_without_torch() -> None:
    code = """
import sys
from unlearnable import registry
from unlearnable.tools.plan import sizes
for kind in registry.available("readers"):
    assert registry.load("readers", kind).size_hint
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_reader_that_cannot_tell_leaves_the_size_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar = described(kind="cifar", variant="cifar10")
    monkeypatch.delattr(registry.load("readers", "cifar"), "size_hint")
    found = size_of(cifar, tmp_path, None)
    assert (found.train, found.test) == (None, None)
    assert "kind cifar" in found.source


def test_files_in_folders_are_counted_and_not_decoded(tmp_path: Path) -> None:
    for label in ("cat", "dog", "owl"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(10):
            (tmp_path / "images" / label / f"{number}.png").write_bytes(b"not an image")
    found = size_of(described(kind="folder", root="images", test_share=0.2), tmp_path, None)
    assert found == Size(24, 6, "counted on disk")


def test_labels_of_idx_files_are_counted(tmp_path: Path) -> None:
    for name, rows in (("train", 5), ("t10k", 2)):
        header = bytes([0, 0, 8, 1]) + rows.to_bytes(4, "big")
        (tmp_path / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + bytes(rows)))
    found = size_of(described(kind="mnist", variant="MNIST", root="."), tmp_path, None)
    assert found == Size(5, 2, "counted on disk")


def test_a_stored_dataset_tells_its_size_whatever_its_files_are(
    tmp_path: Path, store: Callable[..., Path], make_split: Callable[..., Split]
) -> None:
    manifest = store(make_split(31)) / "manifest.json"
    assert size_of(described(kind="parquet", root="gone"), tmp_path, manifest) == Size(31, 31, "as stored")


@pytest.mark.parametrize("keys", [{"kind": "parquet", "root": "gone"}, {"kind": "folder", "root": "gone"}])
def test_a_size_that_cannot_be_known_is_none_and_says_why(tmp_path: Path, keys: dict[str, Any]) -> None:
    found = size_of(described(**keys), tmp_path, None)
    assert (found.train, found.test) == (None, None)
    assert "gone" in found.source
    (text,) = [line for line in report.of_passes([], {"d": found}).splitlines() if line.startswith("d: ")]
    assert "run `snakemake datasets` first" in text
    assert "NOT in the sums" in text


# ---- bytes


@pytest.mark.parametrize(("network", "channels"), [("small-cnn", 1), ("resnet18", 3)])
def test_weights_take_the_bytes_of_their_file(tmp_path: Path, network: str, channels: int) -> None:
    import torch

    save(create(network, channels, 10, 32, 0, torch.device("cpu")), tmp_path / "model.safetensors")
    written = (tmp_path / "model.safetensors").stat().st_size
    assert 0 <= written - weight_bytes(network, channels, 10, "cifar") < 0.25 * written  # the file's header


def test_stored_images_take_the_bytes_of_their_files(tmp_path: Path, make_split: Callable[..., Split]) -> None:
    shards.write(tmp_path, make_split(100, channels=3), 40)
    written = [file.stat().st_size for file in tmp_path.glob("*.npy")]
    assert sum(written) - 128 * len(written) == space.of_images(100, (3, 8, 8))


@pytest.mark.parametrize(
    ("method", "rho_u", "bytes_a_value"), [("em", 127, 1), ("em", 128, 2), ("lsp", 0, 2), ("ops", 0, 2), ("cuda", 0, 2)]
)
def test_noise_takes_two_bytes_where_it_may_be_larger_than_one_holds(
    study: Study, method: str, rho_u: int, bytes_a_value: int
) -> None:
    bound = noise_settings(study, Noise("cifar10", method, rho_u, 0, 0)).bound
    assert space.of_noise(10, SHAPE, bound) == 10 * 3072 * bytes_a_value


def test_the_share_of_png_is_measured_on_what_is_published(
    tmp_path: Path, store: Callable[..., Path], make_split: Callable[..., Split], study: Study
) -> None:
    assert space.png_share([tmp_path / "nothing"]) is None
    folder = tmp_path / "p100"
    config = study.perturbed_config(Perturbed("fashion-mini", "clean", 0, 0, 0, 0))
    outputs = (folder / "parquet", folder / "shards", folder / "manifest.json", folder / "metrics.json")
    publish(config, store(make_split(50)), None, *outputs)
    share = space.png_share([folder])
    assert share is not None
    expected = space.of_published(50, (1, 8, 8), share)
    written = sum(file.stat().st_size for part in outputs[:2] for file in part.iterdir())
    assert expected == pytest.approx(written, rel=0.05)


def test_free_space_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert space.free(tmp_path / "not" / "there" / "yet") == pytest.approx(space.free(tmp_path), rel=0.01)


# ---- time

STEP = NetworkWork("step", "small-cnn", "cifar", SHAPE, 10, "auto", 128)
GRADIENT = NetworkWork("gradient", "small-cnn", "cifar", SHAPE, 10, "auto", 128)
TIMES = Times({STEP: Speed(0.5, 128), GRADIENT: Speed(0.25, 128)}, {("lsp noise", "d"): 2.0})


def test_a_job_takes_the_sum_of_its_work() -> None:
    assert TIMES.of(Task("victim", False, 0, amounts=[Amount(STEP, 10, 1), Amount(GRADIENT, 20, 1)])) == 10.0


def test_a_job_of_work_that_was_not_timed_has_no_time() -> None:
    assert TIMES.of(Task("perturbed dataset", False, 0, amounts=[Amount(PublishingWork(SHAPE), 1)])) is None
    assert TIMES.of(Task("noise", False, 0, like=("ops noise", "d"), rows=5)) is None


def test_work_of_which_there_is_none_needs_no_time() -> None:
    assert TIMES.of(Task("victim", False, 0, amounts=[Amount(STEP, 2), Amount(PublishingWork(SHAPE), 0)])) == 1.0


def test_a_noise_without_a_network_takes_what_finished_ones_took() -> None:
    assert TIMES.of(Task("noise", False, 0, like=("lsp noise", "d"), rows=5)) == 10.0


def test_kinds_of_jobs_to_do_come_first_and_of_them_what_nothing_else_tells() -> None:
    publishing = PublishingWork(SHAPE)
    tasks = [
        Task("victim", True, 0, amounts=[Amount(GRADIENT, 10**9)]),
        Task("victim", False, 0, amounts=[Amount(STEP, 10**6)]),
        Task("perturbed dataset", False, 0, amounts=[Amount(publishing, 1)]),
        Task("noise", False, 0, amounts=[Amount(KernelWork(SHAPE, 10, 1, 1, "relu"), 0)]),  # nothing of it
    ]
    assert kinds_of(tasks) == [publishing, STEP, GRADIENT]


@pytest.fixture
def finished(tmp_path: Path) -> list[tuple[Task, dict[str, Any]]]:
    """Jobs and their records: two victims here, one elsewhere, a noise without a network, one job not done."""
    work = [Amount(STEP, 10, 1)]  # estimated at 5 seconds
    tasks = []
    for number, (seconds, device) in enumerate([(5.0, "here"), (15.0, "here"), (1.0, "elsewhere")]):
        files.write_json(tmp_path / f"{number}.json", {"seconds": seconds, "device": device})
        tasks.append(Task("victim", True, 0, f"{number}.json", work))
    for name, device in (("near", "here"), ("far", "elsewhere")):
        files.write_json(tmp_path / f"{name}.json", {"seconds": 6.0, "device": device})
        tasks.append(Task("noise", True, 0, f"{name}.json", like=("ops noise", "d"), rows=3))
    tasks += [Task("victim", False, 0, "0.json", work), Task("victim", True, 0, "lost.json", work)]
    return recorded(tasks, tmp_path)


def test_only_finished_jobs_of_this_device_are_compared(finished: list[tuple[Task, dict[str, Any]]]) -> None:
    (victims,) = compare(finished, TIMES, "here")
    assert (victims.stage, victims.seconds, victims.ratios) == ("victim", [5.0, 15.0], [1.0, 3.0])
    assert compare(finished, TIMES, "nowhere") == []


def test_rates_are_those_of_this_device(finished: list[tuple[Task, dict[str, Any]]]) -> None:
    assert rates(finished, "here") == {("ops noise", "d"): 2.0}


# ---- what is printed


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (600, "10 min"), (12_240, "3.4 h"), (4_442_400, "1,234 h")]
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (123_456_789, "123 MB"), (3.4e9, "3.4 GB"), (1.234e12, "1,234 GB")],
)
def test_bytes_are_readable(number: float, text: str) -> None:
    assert bytes_text(number) == text
    assert count(1234567) == "1,234,567"


def cells(text: str, first: str) -> list[str]:
    """The cells of the row of a table that begins with ``first``."""
    (line,) = [line for line in text.splitlines() if line.startswith(first)]
    return re.split(r" {2,}", line.strip())[1:]


WORK = [
    Task("victim", True, 100, amounts=[Amount(STEP, 128, 1)]),
    Task("victim", False, 100, amounts=[Amount(STEP, 7200, 4)]),
    Task("noise", False, 3000, amounts=[Amount(GRADIENT, 7200, 2)], like=("em noise", "d")),
    Task("noise", False, 500, like=("ops noise", "d"), rows=4, besides=None),
]


def test_the_table_of_passes_sums_by_stage() -> None:
    text = report.of_passes(WORK, {"d": Size(50_000, 10_000, "official size")})
    assert cells(text, "victim") == ["5", "1", "4"]
    assert cells(text, "in all") == ["7", "1", "6"]
    assert "d: 50,000 training and 10,000 test images (official size)." in text


def test_the_table_of_jobs_sums_by_rule() -> None:
    text = report.of_jobs([("noise", 2000, 500), ("victim", 10, 0)])
    assert cells(text, "noise") == ["2,000", "500", "1,500"]
    assert cells(text, "in all") == ["2,010", "500", "1,510"]


def test_the_table_of_times_adds_what_is_to_do_and_says_what_it_lacks() -> None:
    text = report.of_times(WORK, 5, TIMES, report.Machine("cpu", gpus=0, cores=4, start_up=3600))
    assert cells(text, "victim") == ["1", "core", "60 min", "60 min"]
    assert cells(text, "noise") == ["2", "core", "30 min + ?", "2.0 h"]
    assert cells(text, "others") == ["2", "core", "?", "2.0 h"]
    assert "In all: 6.5 h of one core." in text
    assert "On the clock: 2 h" not in text
    assert "On the clock: 1.6 h" in text  # 6.5 h by 4 at a time
    assert "NOT estimated: ops noise (1 jobs)." in text


def test_networks_take_gpus_where_there_are_some_and_the_rest_takes_cores() -> None:
    text = report.of_times(WORK, 5, TIMES, report.Machine("GPU", gpus=2, cores=4, start_up=3600))
    assert cells(text, "victim")[1] == "GPU"
    assert "In all: 4.5 h of one GPU and 2.0 h of one core." in text
    assert "On the clock: 2.8 h" in text  # 4.5 h on 2 GPUs and 2 h on 4 cores


def test_what_was_not_timed_in_full_is_said() -> None:
    speeds: dict[Any, Speed] = {STEP: Speed(1, 128), GRADIENT: Speed(1, 2), PublishingWork(SHAPE): Speed(1, 0)}
    text = report.of_times(WORK, 3, Times(speeds, {}), report.Machine("cpu", 0, 1, 0), ["too little memory"])
    assert "2 kinds of work were timed for a moment, uncompiled; 1 of them with a smaller batch" in text
    assert "1 more were reckoned from their operations" in text
    assert "WARNING: jobs will be refused: too little memory." in text


def test_nothing_to_do_takes_no_time() -> None:
    assert report.of_times(WORK[:1], 0, TIMES, report.Machine("cpu", 0, 1, 5)) == "Time: nothing is to do."


def test_the_table_of_space_sums_what_is_to_be_written_and_warns_where_it_does_not_fit() -> None:
    text = report.of_space(WORK, 4000, ["d"])
    assert cells(text, "noise") == ["3.5 kB"]
    assert cells(text, "in all") == ["3.6 kB"]
    assert "PNGs are taken to be as large as their pixels, as none are there yet: d." in text
    assert "WARNING" not in text
    assert "NOT in the sums: downloaded archives, and the copy of its training images" in text
    assert "WARNING: 600 B more than there is." in report.of_space(WORK, 3000, [])


def test_how_far_off_is_told_by_median_and_range(finished: list[tuple[Task, dict[str, Any]]]) -> None:
    text = report.of_comparisons(compare(finished, TIMES, "here"))
    assert cells(text, "victim") == ["2", "10 s", "2.00", "1.00 to 3.00"]
    assert "no finished jobs" in report.of_comparisons([])
