# The study described by the configuration, and helpers for the inputs and params of rules.

from snakemake.logging import logger

from unlearnable.registry import available
from unlearnable.study import products
from unlearnable.study.cells import (
    DATASET,
    NOISE,
    PERTURBED,
    RELEASE,
    RELEASED,
    SOURCE,
    VICTIM,
    Noise,
    Perturbed,
    Victim,
    cell,
    path,
    perturbed_of,
)
from unlearnable.study.products import benchmark_file
from unlearnable.study.recipes import Recipes
from unlearnable.study.study import Study
from unlearnable.tools.acceptance import Acceptance
from unlearnable.tools.session import begin

begin(workflow, logger)

try:
    STUDY = Study(config, FILES, workflow.basedir)
except UserError as error:
    raise WorkflowError(f"The configuration has faults:\n{error}") from None

RUN = STUDY.settings.run
RUNTIME = STUDY.settings.runtime.model_dump()
ACCEPTANCE = Acceptance(workflow, logger, Recipes(STUDY))


def any_of(names):
    """A wildcard constraint: exactly one of the names."""
    return "|".join(map(re.escape, sorted(names)))


wildcard_constraints:
    **dict.fromkeys(["rho_u", "rho_a", "seed", "protected", "radius", "shard", "shards"], r"\d+"),
    seeds=r"\d+(-v\d+)?",  # of a victim: the noise's and, if it differs, its own
    dataset=any_of(STUDY.settings.datasets),
    method=any_of(STUDY.settings.methods),
    network=any_of(available("networks")),
    countermeasure=any_of(STUDY.settings.countermeasures),
    experiment=any_of(STUDY.settings.experiments),
    release=any_of(STUDY.settings.releases),


def recipe(rule):
    """A params function: what the results of a rule's job are made with."""
    return lambda w: ACCEPTANCE.recipe(rule, w)


def compared(rule, files):
    """An input function: files, by a pattern or a function, whose dates do not count if the job's result fits them."""
    return lambda w: ACCEPTANCE.inputs(rule, w, files(w) if callable(files) else files and files.format(**w))


def file_of(template, name, result):
    """A file of a result that some jobs read; none for the others, which have no such result."""
    return [] if result is None else f"{path(template, result)}/{name}"


def merged_noise(w):
    """The manifest of a protected dataset's noise, if it has one."""
    return [] if w.method == "clean" else f"{path(NOISE, cell(Noise, w))}/manifest.json"


def release_noise(w):
    """The noise of a release."""
    return STUDY.noise_of_release(w.release)


def shard_files(suffix):
    """An input function: the files of all shards of a noise, in order."""

    def files_of(w):
        shards = STUDY.shards(w.dataset, w.method)
        return [f"{path(NOISE, cell(Noise, w))}/shards/{shard}-of-{shards}.{suffix}" for shard in range(shards)]

    return files_of
