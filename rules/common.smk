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
from unlearnable.study.fingerprint import code_fingerprint
from unlearnable.jobs.profile_check import require_workflow_profile
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
from unlearnable.study import products
from unlearnable.study.products import measured
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


def code(script, *modules):
    """The fingerprint of a script and of the modules that it loads by name."""
    return code_fingerprint(ROOT / "scripts" / script, *modules)


def reader_module(dataset):
    """The library module that reads a dataset."""
    return module_name("readers", STUDY.settings.datasets[dataset].kind)


def method_module(method):
    """The library module that computes a method."""
    return module_name("noises", STUDY.algorithm(method))


def network_module(network):
    """The library module that builds a network."""
    return module_name("networks", network)


def countermeasure_module(name):
    """The library module of a counter-measure."""
    return module_name("countermeasures", STUDY.settings.countermeasures[name].kind)


def source_model(w):
    """The weights of the source model that a noise is computed with, where it has one."""
    source = STUDY.source_of(cell(Noise, w))
    return [] if source is None else f"{path(SOURCE, source)}/model.safetensors"


def noise_modules(w):
    """The library modules of a noise and of its source model's network, where it has one."""
    network = STUDY.noise_config(cell(Noise, w))["network"]
    return [method_module(w.method), *([] if network is None else [network_module(network)])]


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
