"""Settings of the counter-measure composed."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from unlearnable.countermeasures.settings import AnyCountermeasure, CountermeasureSettings

# What each kind changes, in the order in which training does it; a test holds this against their code.
START, STORED, EVERY_BATCH, LOSS = (
    *("the initial weights", "the stored images, once"),
    *("every batch", "the attack and the loss"),
)
CHANGES = {
    "pretrained": START,
    **dict.fromkeys(("bilateral", "bit-depth", "gaussian", "grayscale", "jpeg", "mean", "median"), STORED),
    **dict.fromkeys(("d-vae", "equalise", "orthogonal", "rescale", "standardise"), STORED),
    **dict.fromkeys(("coin", "colour-shift", "contrastive", "cutmix", "cutout", "mixup", "ueraser-lite"), EVERY_BATCH),
    **dict.fromkeys(("fgsm-rs", "mart", "trades"), LOSS),
}
TURN = (START, STORED, EVERY_BATCH, LOSS)
MIXES_LABELS = ("cutmix", "mixup")
ONE_LABEL = ("mart",)  # its loss is defined for one label an image


class Composed(CountermeasureSettings):
    """Several counter-measures, one after the other."""

    kind: Literal["composed"]
    of: Annotated[
        list[AnyCountermeasure],
        Field(min_length=2, description="names of other counter-measures, in the order in which they act"),
        WithJsonSchema(
            {"type": "array", "items": {"type": "string"}, "minItems": 2}
        ),  # in a study, which fills them in
    ]

    @property
    def channels(self) -> tuple[int, ...]:  # type: ignore[override]
        """The numbers of image channels that all parts support."""
        return tuple(sorted(set.intersection(*(set(part.channels) for part in self.of))))

    @property
    def needs_radius(self) -> bool:  # type: ignore[override]
        """Whether one of the parts is a form of adversarial training."""
        return any(part.needs_radius for part in self.of)

    @property
    def passes(self) -> int:  # type: ignore[override]
        """Those of the part that has a loss of its own."""
        return max(part.passes for part in self.of)

    @property
    def starts_from(self) -> str | None:
        """That of the part that sets the initial weights."""
        return next((part.starts_from for part in self.of if part.starts_from is not None), None)

    def started(self, weights: str) -> Self:
        """The same parts, one of them with the file of weights."""
        return self.model_copy(update={"of": [part.started(weights) for part in self.of]})

    def attack_passes(self, k_a: int) -> float:
        """Those of the part that has an attack of its own."""
        return next((part.attack_passes(k_a) for part in self.of if CHANGES[part.kind] == LOSS), k_a)

    def misfit(self, shape: tuple[int, int, int], classes: int) -> str | None:
        """The first misfit of a part."""
        found = (part.misfit(shape, classes) for part in self.of)
        return next((misfit for misfit in found if misfit is not None), None)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (fault := _fault([part.kind for part in self.of])) is not None:
            raise PydanticCustomError("composed", "{fault}", {"fault": fault})
        return self


def _fault(kinds: list[str]) -> str | None:
    """Why counter-measures of these kinds cannot follow one another; None if they can."""
    for kind in kinds:
        if kind not in CHANGES:
            return f"a counter-measure of the kind {kind!r} cannot be part of another; leave it out"
    for before, after in pairwise(kinds):
        if TURN.index(CHANGES[before]) > TURN.index(CHANGES[after]):
            return f"{after!r} changes {CHANGES[after]}, so it must stand before {before!r}: {CHANGES[before]}"
    for group, both in (
        ([kind for kind in kinds if CHANGES[kind] == START], "set the initial weights"),
        ([kind for kind in kinds if CHANGES[kind] == LOSS], "are losses of adversarial training"),
        ([kind for kind in kinds if kind in MIXES_LABELS], "mix labels"),
    ):
        if len(group) > 1:
            return f"{group[0]!r} and {group[1]!r} both {both}; name one of them"
    mixing, single = ([kind for kind in kinds if kind in names] for names in (MIXES_LABELS, ONE_LABEL))
    if mixing and single:
        return f"{single[0]!r} needs one label for each image, but {mixing[0]!r} mixes them"
    return None
