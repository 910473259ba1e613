# The study described by the configuration, and helpers for the inputs and params of rules.

import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "workflow"))

from unlearnable.errors import UserError
from unlearnable.registry import available, module_name
from unlearnable.settings import plain
from unlearnable.study import products
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
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.fingerprint import canonical, code_fingerprint
from unlearnable.study.products import benchmark_file
from unlearnable.study.study import Study
from unlearnable.tools.session import begin

begin(workflow, logger)

UNDER = [f"{workflow.basedir}/config/{name}" for name in DEFAULTS]
try:
    STUDY = Study(config, [*UNDER, *(name for name in workflow.configfiles if str(name) not in UNDER)], ROOT)
except UserError as error:
    raise WorkflowError(f"The configuration has faults:\n{error}") from None

RUN = STUDY.settings.run
RUNTIME = STUDY.settings.runtime.model_dump()


def any_of(names):
    """A wildcard constraint: exactly one of the names."""
    return "|".join(map(re.escape, sorted(names)))


wildcard_constraints:
    **dict.fromkeys(["rho_u", "rho_a", "seed", "protected", "radius", "shard", "shards"], r"\d+"),
    dataset=any_of(STUDY.settings.datasets),
    method=any_of(STUDY.settings.methods),
    network=any_of(available("networks")),
    countermeasure=any_of(STUDY.settings.countermeasures),
    experiment=any_of(STUDY.settings.experiments),


def cell(kind, wildcards):
    """The cell of a kind (Noise, Perturbed, Victim) named by the wildcards."""
    values = {name: getattr(wildcards, name) for name in kind.__dataclass_fields__}
    whole = [name for name, field in kind.__dataclass_fields__.items() if field.type == "int"]
    return kind(**values | {name: int(values[name]) for name in whole})


def trained(kind, wildcards):
    """The cell named by the wildcards; ends Snakemake without a traceback if its dataset is smaller than a batch."""
    found = cell(kind, wildcards)
    for fault in STUDY.unfilled_batches(found, Path()) if workflow.is_main_process else []:
        sys.exit(f"The configuration has faults:\n{fault}")
    return found


def params(settings):
    """The settings of a stage, as plain values that Snakemake can compare."""
    return canonical(plain(settings))


def code(stage, *named):
    """The fingerprint of a stage and of the entries that it loads by name, as pairs of axis and entry."""
    return code_fingerprint(f"unlearnable.stages.{stage}", *(module_name(*pair) for pair in named if pair[1]))


def source_model(w):
    """The weights of a noise's source model, if it has one."""
    source = STUDY.source_of(cell(Noise, w))
    return [] if source is None else f"{path(SOURCE, source)}/model.safetensors"


def shard_files(suffix):
    """An input function: the files of all shards of a noise, in order."""

    def files_of(w):
        shards = STUDY.shards(w.dataset, w.method)
        return [f"{path(NOISE, cell(Noise, w))}/shards/{shard}-of-{shards}.{suffix}" for shard in range(shards)]

    return files_of
