# The study that the configuration describes, and the helpers that rules declare their inputs and params with.

import atexit
import gc
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

# A plan of thousands of jobs is millions of objects that live until Snakemake ends. By default Python looks through them
# for garbage every few hundred new ones, and takes them all apart at the end: a third of the time of a dry run.
gc.set_threshold(50_000, 20, 50)
atexit.register(gc.freeze)

ROOT = Path(workflow.basedir)
# The library beside this file, also in scripts, whatever copy of it may be installed.
sys.path.insert(0, str(ROOT / "workflow"))
BESIDE = [str(ROOT / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])]
os.environ.update(PYTHONPATH=os.pathsep.join(BESIDE))
# Which process a job belongs to: it stops when that one is gone.
os.environ.update(UNLEARNABLE_SNAKEMAKE=str(os.getpid()))

from unlearnable.study.faults import DEFAULTS
from unlearnable.errors import UserError
from unlearnable.files import digest, sha256
from unlearnable.study.fingerprint import canonical, code_fingerprint
from unlearnable.jobs.profile_check import require_workflow_profile
from unlearnable.settings import plain
from unlearnable.registry import available, module_name
from unlearnable.jobs.presence import join_and_clear_dead_lock
from unlearnable.study.cells import (
    DATASET,
    NOISE,
    PERTURBED,
    SOURCE,
    VICTIM,
    Noise,
    Perturbed,
    Victim,
    path,
    perturbed_of,
)
from unlearnable.study.study import Study
from unlearnable.tools.watch.record import record

if workflow.is_main_process:
    try:
        require_workflow_profile(sys.argv[1:], ROOT, moved=workflow.overwrite_workdir is not None)
    except UserError as error:
        raise WorkflowError(str(error)) from None

UNDER = [f"{workflow.basedir}/config/{name}" for name in DEFAULTS]
LAID_OVER = [name for name in workflow.configfiles if str(name) not in UNDER]
try:
    STUDY = Study(config, [*UNDER, *LAID_OVER], ROOT)
except UserError as error:
    raise WorkflowError(f"The configuration has faults:\n{error}") from None

if workflow.is_main_process:
    AT_WORK = join_and_clear_dead_lock()  # open, and so locked, for as long as Snakemake lives
    record(logger, workflow)  # what `make watch` reads

RUN = STUDY.settings.run
RUNTIME = {
    "device": STUDY.settings.runtime.device,
    "checkpoint_seconds": STUDY.settings.runtime.checkpoint_seconds,
}


def any_of(names):
    """A wildcard constraint: one of the names, nothing else."""
    return "|".join(map(re.escape, sorted(names)))


wildcard_constraints:
    dataset=any_of(STUDY.settings.datasets),
    method=any_of(STUDY.settings.methods),
    network=any_of(available("networks")),
    countermeasure=any_of(STUDY.settings.countermeasures),
    experiment=any_of(STUDY.settings.experiments),
    rho_u=r"\d+",
    rho_a=r"\d+",
    seed=r"\d+",
    protected=r"\d+",
    radius=r"\d+",
    shard=r"\d+",
    shards=r"\d+",


def cell(kind, wildcards):
    """The cell of a kind (Noise, Perturbed, Victim) that the wildcards name."""
    numbers = ("rho_u", "rho_a", "seed", "protected", "radius")
    values = {name: getattr(wildcards, name) for name in kind.__dataclass_fields__}
    return kind(**{n: int(v) if n in numbers else v for n, v in values.items()})


def code(stage, *modules):
    """The fingerprint of a stage, and of the modules that it loads by name."""
    return code_fingerprint(f"unlearnable.{stage}", *modules)


def params(settings):
    """What a stage is given, as plain values that Snakemake can compare."""
    return canonical(plain(settings))


def code_and_numbers(product):
    """The fingerprint of a product that reads the published numbers: their content counts as that of code does."""
    return digest(code(product), [sha256(name) for name in sorted((ROOT / "workflow/references").glob("*.csv"))])


def source_model(w):
    """The weights of the source model that a noise is computed with, where it has one."""
    source = STUDY.source_of(cell(Noise, w))
    return [] if source is None else f"{path(SOURCE, source)}/model.safetensors"


def modules_of(settings):
    """The library modules that a source model or noise loads by name."""
    network = settings.training.network if hasattr(settings, "training") else settings.network
    networks = [] if network is None else [module_name("networks", network)]
    return [module_name("noises", settings.method.algorithm), *networks]


def wants(experiment, product):
    """Whether an experiment asks for a table or figure."""
    return product in STUDY.settings.experiments[experiment].products


def products(product, template):
    """The files of a table or figure, for every experiment that runs and asks for it."""
    return [template.format(experiment=name) for name in RUN if wants(name, product)]


def shards_of(noise):
    """The names of all shards of a noise, in order."""
    shards = STUDY.shards(noise.dataset, noise.method)
    return [f"{shard}-of-{shards}" for shard in range(shards)]


def shard_files(suffix):
    """An input function: the files of all shards of a noise, in order."""

    def files_of(w):
        noise = cell(Noise, w)
        return [f"{path(NOISE, noise)}/shards/{shard}.{suffix}" for shard in shards_of(noise)]

    return files_of


def measured(folder):
    """Where Snakemake keeps what it measures of the job that fills a folder of the results."""
    return folder.replace("results/", "results/benchmark/", 1) + ".jsonl"


def measured_of_jobs(experiment):
    """For each stage and cell of an experiment, what Snakemake measured of its jobs. These files are nobody's input: the
    loss of one would make finished jobs, and all that follows from them, run again.
    """
    return {
        "source model": [[measured(path(SOURCE, c))] for c in STUDY.sources(experiment)],
        "noise": [[measured(f"{path(NOISE, c)}/{s}") for s in shards_of(c)] for c in STUDY.noises(experiment)],
        "perturbed dataset": [[measured(path(PERTURBED, c))] for c in STUDY.perturbed(experiment)],
        "victim": [[measured(path(VICTIM, c))] for c in STUDY.victims(experiment)],
    }


def sheet_source(experiment):
    """The folder of the clean images in an experiment's noise sheet."""
    return DATASET.format(dataset=STUDY.settings.experiments[experiment].datasets[0])
