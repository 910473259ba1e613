"""How large a training a release gets: by default a small one; with a time limit, what this machine can do in it."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import yaml
from snakemake.utils import available_cpu_count

from unlearnable.owners.project import Choices, Training, study_of
from unlearnable.owners.scan import Scan
from unlearnable.study.study import Study
from unlearnable.tools.plan.reading import read_study

DEFAULT: Training = {"image_size": 32, "steps": 300}
PRESETS: list[Training] = [  # from the cheapest to the most expensive
    {"image_size": 32, "steps": 150},
    {"image_size": 32, "steps": 300},
    {"image_size": 32, "steps": 600},
    {"image_size": 48, "steps": 600},
    {"image_size": 64, "steps": 600},
    {"image_size": 64, "steps": 1200},
    {"image_size": 64, "steps": 2400},
]
TIMED_SIDE = 512  # of the images whose encoding is timed
ENCODINGS = 2  # how much longer an image takes in all than to be encoded and decoded once
RELEASE_THREADS = 4  # of the release's job
OVERHEAD = 45  # seconds, for six jobs to start
CALIBRATION = 20.0  # seconds


def chosen(scan: Scan, choices: Choices) -> Training:
    """Size and steps of the source model's training.

    Args:
        scan: the owner's images.
        choices: the owner's, of which ``minutes`` limits the time; the largest preset that fits is taken, or else the
            smallest.
    """
    if choices["minutes"] is None:
        return DEFAULT
    seconds = estimated(scan, choices)
    fitting = [training for training, took in zip(PRESETS, seconds, strict=True) if took <= 60 * choices["minutes"]]
    return fitting[-1] if fitting else PRESETS[0]


def estimated(scan: Scan, choices: Choices) -> list[float]:
    """Seconds that a release takes with each preset, from work timed on this machine."""
    from unlearnable.jobs.device import device_of_jobs  # these import torch, for which a faulty folder need not wait
    from unlearnable.tools.plan import calibration
    from unlearnable.tools.plan.passes import of_noise, of_source_model
    from unlearnable.tools.plan.publishing import PublishingWork
    from unlearnable.training.work import Amount

    images = [found for found in scan.images if not found.entry.test]
    pixels = sum(found.image.width * found.image.height for found in images)
    encoding = PublishingWork((3, TIMED_SIDE, TIMED_SIDE), batch=4)
    rest = Amount(encoding, math.ceil(ENCODINGS * pixels / TIMED_SIDE**2))
    trainings = []
    for training in PRESETS:
        study = _study(scan, choices, training)
        (cell,) = study.release_noises()
        data = study.layers.dataset(cell.dataset)
        shape, classes = (data.channels, data.image_size, data.image_size), len(data.classes)
        of_pass = of_noise(study.noise_settings(cell), shape, classes, len(images), len(images))
        trainings.append([*of_source_model(study.source_settings(cell), shape, classes), *of_pass])
    kinds = list(dict.fromkeys(amount.kind for amounts in [[rest], *trainings] for amount in amounts if amount.images))
    found = calibration.calibrate(kinds, device_of_jobs("auto"), CALIBRATION).speeds

    def seconds(amount: Amount) -> float:
        return amount.images * found[amount.kind].seconds if amount.kind in found else math.inf

    shared = OVERHEAD + seconds(rest) / min(RELEASE_THREADS, available_cpu_count())
    return [shared + sum(seconds(amount) for amount in amounts if amount.images) for amounts in trainings]


def _study(scan: Scan, choices: Choices, training: Training) -> Study:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "study.yaml")
        path.write_text(yaml.safe_dump(study_of("timed", scan, choices, training, "", path)), encoding="utf-8")
        return read_study(path)
