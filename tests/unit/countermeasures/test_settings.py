"""The settings of counter-measures, and the module of each."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch import Tensor

from unlearnable import registry
from unlearnable.countermeasures.base import Lesson
from unlearnable.datasets.split import Split

KINDS = registry.available("countermeasures")
CLASSES = [registry.settings("countermeasures", kind) for kind in KINDS]
UNION: Any = Annotated[reduce(or_, CLASSES), Field(discriminator="kind")]
ANY = TypeAdapter[Any](UNION)


REQUIRED: dict[str, dict[str, Any]] = {
    "composed": {"of": [{"kind": "jpeg"}, {"kind": "mart"}]},
    "pretrained": {"file": "model.safetensors", "sha256": 64 * "0"},
}


def defaults_of(kind: str) -> dict[str, Any]:
    """All defaults of a kind, and values for what has none."""
    return {"kind": kind} | REQUIRED.get(kind, {})


def parse(values: dict[str, Any]) -> Any:
    return ANY.validate_python(values)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_module_and_defaults(kind: str) -> None:
    assert parse(defaults_of(kind)).kind == kind
    assert callable(registry.load_module("countermeasures", kind).build)


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_is_the_same_value_as_when_it_is_written_out(kind: str) -> None:
    defaults = parse(defaults_of(kind)).model_dump()
    assert repr(parse(defaults).model_dump()) == repr(defaults)


def test_one_without_settings_is_a_single_file_that_tells_what_it_is() -> None:
    module, settings = registry.load_module("countermeasures", "none"), registry.settings("countermeasures", "none")
    assert registry.load_file("countermeasures", "none", "settings") is None
    assert set(settings.model_fields) == {"kind"}
    assert settings.__doc__ is not None
    assert settings.__doc__ in str(module.__doc__)
    with pytest.raises(ValidationError, match="unknown key"):
        parse({"kind": "none", "size": 3})


def test_every_module_has_settings() -> None:
    assert set(registry.available("countermeasures")) == set(KINDS)


def test_only_adversarial_trainers_need_an_adversary_and_only_grayscale_needs_colour() -> None:
    single = [settings for settings in CLASSES if not isinstance(settings.needs_radius, property)]
    assert len(single) == len(CLASSES) - 1  # a composed one is what its parts are
    assert {s.model_fields["kind"].annotation for s in single if s.needs_radius} == {
        registry.settings("countermeasures", kind).model_fields["kind"].annotation
        for kind in ("trades", "mart", "fgsm-rs")
    }
    assert [s for s in single if s.channels == (3,)] == [registry.settings("countermeasures", "grayscale")]
    assert {s.channels for s in single} == {(3,), (1, 3)}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"kind": "mean", "size": 4}, "must be odd"),
        ({"kind": "median", "size": 1}, "greater than or equal to 3"),
        ({"kind": "jpeg", "quality": 0}, "greater than or equal to 1"),
        ({"kind": "bit-depth", "bits": 8}, "less than or equal to 7"),
        ({"kind": "mixup", "alpha": 0}, "greater than 0"),
        ({"kind": "trades", "bet": 6}, "did you mean 'beta'"),
        ({"kind": "blur"}, "'gaussian'"),
        ({"size": 3}, "Unable to extract tag"),
    ],
)
def test_what_makes_no_sense_is_refused(config: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        parse(config)


@pytest.mark.parametrize("kind", KINDS)
def test_the_passes_that_settings_state_are_those_of_the_objective(kind: str) -> None:
    train = Split(np.zeros((6, 16, 16, 3), np.uint8), np.arange(6) % 3, ["cat", "dog", "owl"])
    settings = parse(defaults_of(kind))
    made = 0

    def network(pixels: Tensor) -> Tensor:
        nonlocal made
        made += 1
        return pixels.mean((2, 3))

    pixels = torch.zeros(3, 3, 16, 16)
    objective: Any = registry.load_module("countermeasures", kind).build(settings, train, 3, 0).objective
    objective(network, Lesson(pixels, torch.arange(3), clean=pixels))
    assert made == settings.passes
