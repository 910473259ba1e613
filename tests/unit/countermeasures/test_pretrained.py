"""Training that starts from the weights of another victim."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from unlearnable import files
from unlearnable.countermeasures.pretrained import countermeasure as pretrained
from unlearnable.countermeasures.pretrained.settings import Pretrained
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError
from unlearnable.networks.build import create, save_weights

CPU = torch.device("cpu")
TRAIN = Split(np.zeros((2, 8, 8, 1), np.uint8), np.arange(2), ["a", "b"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The weights of a small CNN for five classes, with running statistics of their own."""
    network = create("small-cnn", 1, 5, 8, 1, CPU)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if key.endswith("running_mean"):
                value.fill_(0.5)
    save_weights(network, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def prepared(network: nn.Module, path: Path, **keys: Any) -> nn.Module:
    keys = {"sha256": files.sha256(path)} | keys
    prepare = pretrained.build(Pretrained(kind="pretrained", file=str(path), **keys), TRAIN, 2, 0).prepare
    assert prepare is not None
    prepare(network)
    return network


def test_all_layers_but_the_last_start_from_the_file(file: Path) -> None:
    new, given = create("small-cnn", 1, 2, 8, 0, CPU).state_dict(), create("small-cnn", 1, 5, 8, 1, CPU).state_dict()
    found = prepared(create("small-cnn", 1, 2, 8, 0, CPU), file).state_dict()
    head = {"body.15.weight", "body.15.bias"}
    assert head < found.keys()
    for key, value in found.items():
        expected: Tensor = new[key] if key in head else given[key]
        if key.endswith("running_mean"):
            expected = torch.full_like(expected, 0.5)
        assert torch.equal(value, expected), key


@pytest.mark.parametrize(
    ("frozen", "trained"),
    [
        ("none", {"conv": 4, "norm": 8, "head": 2}),
        ("half", {"conv": 2, "norm": 4, "head": 2}),
        ("all-but-head", {"head": 2}),
    ],
)
def test_frozen_layers_are_the_first_half_or_all_but_the_head(file: Path, frozen: str, trained: dict[str, int]) -> None:
    network = prepared(create("small-cnn", 1, 2, 8, 0, CPU), file, frozen=frozen)
    left = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    counts = {part: sum(f".{part}." in name for name in left) for part in ("conv", "norm")}
    counts["head"] = len(left) - sum(counts.values())
    assert {part: count for part, count in counts.items() if count} == trained
    kept = [parameter.requires_grad for parameter in network.parameters()]
    assert kept == sorted(kept)  # what is frozen comes first


def test_a_file_that_is_missing_or_not_the_one_meant_is_refused(file: Path) -> None:
    network = create("small-cnn", 1, 2, 8, 0, CPU)
    with pytest.raises(UserError, match="checksum mismatch: expected sha256 0000"):
        prepared(network, file, sha256=64 * "0")
    gone = Pretrained(kind="pretrained", file=str(file.with_name("none")), sha256=64 * "0")
    prepare = pretrained.build(gone, TRAIN, 2, 0).prepare
    assert prepare is not None
    with pytest.raises(UserError, match="the file is missing; its victim must be trained before this one"):
        prepare(network)


@pytest.mark.parametrize("other", ["channels", "network", "damaged"])
def test_the_weights_of_another_network_are_refused(file: Path, other: str) -> None:
    if other == "damaged":
        file.write_bytes(file.read_bytes()[:100])
    name, channels = ("lenet5", 1) if other == "network" else ("small-cnn", 3 if other == "channels" else 1)
    network = create(name, channels, 2, 28, 0, CPU)
    with pytest.raises(UserError, match="not the weights of this network"):
        prepared(network, file)


def test_the_weights_of_a_victim_of_the_study_are_those_of_its_metrics(file: Path) -> None:
    files.write_json(file.with_name("metrics.json"), {files.HASHES: files.hashes(file)})
    of = Pretrained(kind="pretrained", of="first").started(str(file))
    prepare = pretrained.build(of, TRAIN, 2, 0).prepare
    assert prepare is not None
    network = create("small-cnn", 1, 2, 8, 0, CPU)
    prepare(network)
    assert same(network, prepared(create("small-cnn", 1, 2, 8, 0, CPU), file))
    other = create("small-cnn", 1, 5, 8, 2, CPU)
    save_weights(other, file)
    with pytest.raises(UserError, match="checksum mismatch"):
        prepare(network)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "needs either of, a dataset, or file and sha256"),
        ({"file": "a.safetensors"}, "needs either of, a dataset, or file and sha256"),
        ({"of": "first", "file": "a.safetensors", "sha256": 64 * "0"}, "has of, a dataset, so file and sha256"),
    ],
)
def test_there_is_exactly_one_start(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Pretrained.model_validate({"kind": "pretrained"} | keys)
