"""The whole configuration: one sub-tree per stage, and experiments that name the cells they need."""

# mypy: disable-error-code="valid-type"
# (the *Changes models are made at import time, which is beyond a static type)

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, create_model

from unlearnable import registry
from unlearnable.countermeasures.settings import CountermeasureSettings
from unlearnable.datasets.settings import Dataset
from unlearnable.datasets.settings import ProtectedFiles as Perturbed
from unlearnable.noises.settings import MethodSettings as Method
from unlearnable.products.render import Product, Render
from unlearnable.settings import Settings, Slug, overrides
from unlearnable.stages.settings.noise import NoisePass
from unlearnable.stages.settings.source_model import SourceTraining as SourceModel
from unlearnable.stages.settings.victim import VictimTraining as Victim

METHODS: tuple[type[Method], ...] = tuple(registry.settings("noises", name) for name in registry.available("noises"))


def _any_of(axis: str) -> Any:
    """The settings of whichever entry of an axis their tag names."""
    kinds = (registry.settings(axis, name) for name in registry.available(axis))
    return Annotated[reduce(or_, kinds), Field(discriminator=registry.AXES[axis].tag)]


if TYPE_CHECKING:
    AnyDataset = Dataset
    AnyCountermeasure = CountermeasureSettings
else:
    AnyDataset = _any_of("readers")
    AnyCountermeasure = _any_of("countermeasures")


class ShardedPass(NoisePass):
    """The noise pass, and among how many jobs it is shared."""

    shards: int = Field(1, ge=1, description="jobs that share one noise; the result does not depend on it")


SourceChanges = overrides("SourceChanges", SourceModel)
NoiseChanges = overrides("NoiseChanges", *METHODS, ShardedPass, leave_out=("algorithm", "preset"))
VictimChanges = overrides("VictimChanges", Victim)
SourceForDataset = overrides("SourceForDataset", SourceModel, by_method=(dict[Slug, SourceChanges], {}))
NoiseForDataset = overrides("NoiseForDataset", ShardedPass, by_method=(dict[Slug, NoiseChanges], {}))


def _entry(method: type[Method]) -> type[Method]:
    """A method as the configuration has it: its settings, and changes of them by dataset."""
    changes = overrides(f"{method.__name__}Changes", method, leave_out=("algorithm", "preset"))
    by_dataset: Any = (dict[Slug, changes], {})
    return create_model(f"{method.__name__}Entry", __base__=method, __doc__=method.__doc__, by_dataset=by_dataset)


if TYPE_CHECKING:
    MethodEntry = Method  # what is known of all of them before they are made
else:
    MethodEntry = Annotated[reduce(or_, map(_entry, METHODS)), Field(discriminator="algorithm")]


class SourceStage(Settings):
    """Source models. The more specific wins: default, by_method, by_dataset, by_dataset's by_method."""

    default: SourceModel = SourceModel()
    by_method: dict[Slug, SourceChanges] = {}
    by_dataset: dict[Slug, SourceForDataset] = {}


class NoiseStage(Settings):
    """The noise pass; by_method may also change the method's own keys, for this pass alone."""

    default: ShardedPass = ShardedPass()
    by_method: dict[Slug, NoiseChanges] = {}
    by_dataset: dict[Slug, NoiseForDataset] = {}


class VictimStage(Settings):
    """Victims. The more specific wins: default, by_dataset, by_network."""

    default: Victim = Victim()
    by_dataset: dict[Slug, VictimChanges] = {}
    by_network: dict[Slug, VictimChanges] = {}


class NoiseAxis(Settings):
    """One method at some radii, in units of 1/255."""

    method: Slug
    rho_u: list[Annotated[int, Field(ge=1, le=255)]] | None = Field(
        None, min_length=1, description="radii of the noise; none for clean"
    )
    rho_a: list[Annotated[int, Field(ge=0, le=255)]] | None = Field(
        None, min_length=1, description="radii of the source model's adversary; for REM and SEM"
    )


class VictimAxis(Settings):
    """Networks, counter-measures and radii of the victims: all combinations of them."""

    networks: list[Slug] = Field(["resnet18"], min_length=1)
    countermeasures: list[Slug] = Field(["none"], min_length=1, description="names of what the trainer does against it")
    radii: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        [0, 4], min_length=1, description="0 is standard training, r > 0 PGD-adversarial training, in units of 1/255"
    )


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Experiment(Settings):
    """The cells of a table or figure: the product of its axes."""

    datasets: list[Slug] = Field(min_length=1)
    noises: list[NoiseAxis] = Field(min_length=1)
    protected: list[Annotated[int, Field(ge=0, le=100)]] = Field(
        [100], min_length=1, description="per cent of the training images that carry noise"
    )
    clean_rest: bool = Field(
        False, description="train victims on the unprotected rest alone as well, at every share between 0 and 100"
    )
    victims: Annotated[
        list[VictimAxis], BeforeValidator(_listed, json_schema_input_type=VictimAxis | list[VictimAxis])
    ] = Field([VictimAxis()], min_length=1, description="one group of victims, or a list of groups")
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field([0], min_length=1)
    products: list[Product] = Field(min_length=1, description="tables and figures to make of these cells")


class Runtime(Settings):
    """How jobs run. Nothing here makes a stage run again; a GPU and a CPU give results that differ by chance alone."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto: a GPU when there is one, else the CPU with a warning; cuda: a GPU or an error"
    )
    checkpoint_seconds: int = Field(60, ge=1, description="seconds between two checkpoints of a long loop")


class StudySettings(Settings):
    """The root of config/config.yaml and of what is laid over it."""

    run: list[Slug] = Field(min_length=1, description="the experiments to run")
    runtime: Runtime = Runtime()
    datasets: dict[Slug, AnyDataset]
    methods: dict[Slug, MethodEntry]
    countermeasures: dict[Slug, AnyCountermeasure]
    source_model: SourceStage = SourceStage()
    noise: NoiseStage = NoiseStage()
    perturbed: Perturbed = Perturbed()
    victim: VictimStage = VictimStage()
    experiments: dict[Slug, Experiment]
    render: Render = Render()
