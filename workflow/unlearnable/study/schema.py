"""The whole configuration: one sub-tree per stage, and experiments that name the cells they need.

Keys that are merged from several places are stored as written: ``layers`` merges and checks them.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from unlearnable.datasets.settings import ProtectedFiles
from unlearnable.products.render import Product, Render
from unlearnable.products.settings import NamedNoise
from unlearnable.settings import Settings, Slug
from unlearnable.stages.settings.noise import NoisePass
from unlearnable.stages.settings.release import ReleaseFiles

Keys = dict[str, Any]  # some keys of settings, with their values


def _holding(name: str, of_keys: bool = True) -> AfterValidator:
    """Keys, one of which, ``name``, may contain further keys, or further keys by name."""

    def check(keys: Keys) -> Keys:
        inner = keys.get(name, {})
        if not isinstance(inner, dict) or (of_keys and not all(isinstance(each, dict) for each in inner.values())):
            raise ValueError(f"{name} must hold keys and values" + " by name" * of_keys)
        return keys

    return AfterValidator(check)


class ShardedPass(NoisePass):
    """The noise pass, and how many jobs share it."""

    shards: int = Field(1, ge=1, le=10_000, description="jobs that share one noise; does not change the noise")


class ByMethod(Settings):
    """Keys of a stage. The more specific wins: default, by_method, by_dataset, by_dataset's by_method."""

    default: Keys = {}
    by_method: dict[Slug, Keys] = {}
    by_dataset: dict[Slug, Annotated[Keys, _holding("by_method")]] = {}


class ByNetwork(Settings):
    """Keys of a stage. The more specific wins: default, by_dataset, by_network."""

    default: Keys = {}
    by_dataset: dict[Slug, Keys] = {}
    by_network: dict[Slug, Keys] = {}


class NoiseAxis(Settings):
    """One method at some radii, in units of 1/255."""

    method: Slug = Field(description="name of a method")
    rho_u: list[Annotated[int, Field(ge=1, le=255)]] | None = Field(
        None, min_length=1, description="radii of the noise; none for clean"
    )
    rho_a: list[Annotated[int, Field(ge=0, le=255)]] | None = Field(
        None, min_length=1, description="radii of the source model's adversary; for REM and SEM"
    )


def _distinct(seeds: list[int]) -> list[int]:
    for index, seed in enumerate(seeds):
        if seed in seeds[:index]:
            raise ValueError(f"{seed} is listed twice; list each seed once")
    return seeds


Seeds = Annotated[
    list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1), AfterValidator(_distinct)
]  # all different


class CrossedSeeds(Settings):
    """Seeds of noises and seeds of victims: all combinations of them."""

    noise: Seeds = Field(description="of the source model, the noise, and the choice of the protected images")
    victim: Seeds = Field(description="of each victim's initial weights, the order of its images, and all its draws")


# The tags are no keys of the configuration; ``faults.described`` removes them.
AnySeeds = Annotated[
    Annotated[Seeds, Tag("[list]")] | Annotated[CrossedSeeds, Tag("[crossed]")],
    Discriminator(lambda value: "[crossed]" if isinstance(value, dict | CrossedSeeds) else "[list]"),
]


class VictimAxis(Settings):
    """Networks, counter-measures and radii of the victims: all combinations of them."""

    networks: list[Slug] = Field(["resnet18"], min_length=1, description="names of networks")
    countermeasures: list[Slug] = Field(["none"], min_length=1, description="names of counter-measures")
    radii: list[Annotated[int, Field(ge=0, le=255)]] = Field(
        [0, 4], min_length=1, description="0 is standard training, r > 0 PGD-adversarial training, in units of 1/255"
    )
    seeds: AnySeeds | None = Field(None, description="of this group; without them those of the experiment")


class PrimaryComparison(Settings):
    """The comparison that an experiment is made for, named before it runs."""

    noise: NamedNoise = Field(description="one noise of the experiment, as among its references")
    reference: NamedNoise = Field(
        NamedNoise(method="clean"), description="what it is compared with: clean images, or another noise"
    )
    dataset: Slug | None = Field(None, description="of the victims; needed if the experiment has several")
    network: Slug | None = Field(None, description="likewise")
    countermeasure: Slug | None = Field(None, description="likewise")
    radius: int | None = Field(None, description="likewise, in units of 1/255; 0 for standard training")
    protected: int | None = Field(None, description="likewise, in per cent")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Experiment(Settings):
    """The cells of a table or figure: the product of its axes."""

    datasets: list[Slug] = Field(min_length=1, description="names of datasets")
    noises: list[NoiseAxis] = Field(min_length=1, description="methods and their radii, see below")
    protected: list[Annotated[int, Field(ge=0, le=100)]] = Field(
        [100], min_length=1, description="per cent of the training images that carry noise"
    )
    clean_rest: bool = Field(
        False, description="also train victims on the unprotected rest alone, at every share between 0 and 100"
    )
    victims: Annotated[
        list[VictimAxis], BeforeValidator(_listed, json_schema_input_type=VictimAxis | list[VictimAxis])
    ] = Field([VictimAxis()], min_length=1, description="one group of victims, or a list of groups")
    seeds: AnySeeds = Field(
        [0],
        description="a list: the whole chain is repeated for each; or noise and victim with a list each, see below; "
        "tables show mean ± sample sd (n)",
    )
    references: list[NamedNoise] = Field(
        [], description="noises that the others are compared with, besides clean images; see below"
    )
    primary: PrimaryComparison | None = Field(
        None, description="the comparison whose p is not adjusted for the others; see below"
    )
    products: list[Product] = Field(min_length=1, description="tables and figures to make of these cells")

    @property
    def noise_seeds(self) -> list[int]:
        """The seeds of its noises, in the order of the groups of victims."""
        return list(dict.fromkeys(seed for axis in self.victims for seed, _ in self.seed_pairs(axis)))

    def seed_pairs(self, axis: VictimAxis) -> list[tuple[int, int]]:
        """The seeds of a group of victims: the noise's and the victim's own, equal unless seeds are crossed."""
        seeds = self.seeds if axis.seeds is None else axis.seeds
        if isinstance(seeds, CrossedSeeds):
            return list(product(seeds.noise, seeds.victim))
        return [(seed, seed) for seed in seeds]


class Release(ReleaseFiles):
    """A folder to hand out: an owner's own files with the noise of one method."""

    dataset: Slug = Field(description="name of a dataset of the kind listed, with resize: squash")
    method: Slug = Field(description="name of a method whose bound is rho_u")
    rho_u: int = Field(ge=1, le=127, description="radius of the noise, in units of 1/255")
    rho_a: int | None = Field(None, ge=0, le=255, description="radius of the source model's adversary; for REM and SEM")
    seed: int = Field(ge=0, lt=2**31, description="of all draws; keep it secret")


class Runtime(Settings):
    """How jobs run. Nothing here makes a stage run again; a GPU and a CPU round differently and draw other random
    numbers, so their results differ, as those of two seeds do."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="auto: a GPU if there is one, otherwise the CPU with a warning; cpu; cuda: a GPU or an error",
    )
    checkpoint_seconds: int = Field(60, ge=1, description="seconds between two checkpoints of a long loop")


class LayeredSettings(Settings):
    """The sub-trees whose keys are merged from several places before they are checked."""

    datasets: dict[Slug, Annotated[Keys, _holding("augmentation", of_keys=False)]] = {}
    methods: dict[Slug, Annotated[Keys, _holding("by_dataset")]] = {}
    countermeasures: dict[Slug, Keys] = {}
    source_model: ByMethod = ByMethod()
    noise: ByMethod = ByMethod()
    victim: ByNetwork = ByNetwork()


class StudySettings(LayeredSettings):
    """The root of config/config.yaml and of files that extend it."""

    run: list[Slug] = Field(description="the experiments to run; may be empty if there are releases")
    runtime: Runtime = Runtime()
    datasets: dict[Slug, Annotated[Keys, _holding("augmentation", of_keys=False)]]
    methods: dict[Slug, Annotated[Keys, _holding("by_dataset")]]
    countermeasures: dict[Slug, Keys]
    perturbed: ProtectedFiles = ProtectedFiles()
    experiments: dict[Slug, Experiment]
    releases: dict[Slug, Release] = {}
    render: Render = Render()

    @model_validator(mode="after")
    def _something_to_make(self) -> StudySettings:
        if not self.run and not self.releases:
            raise PydanticCustomError("nothing", "run names no experiment, and there are no releases")
        return self
