"""The networks, and batch norm folded into convolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from benchmarks import plain
from unlearnable import registry
from unlearnable.attacks import frozen
from unlearnable.errors import UserError
from unlearnable.layers import ConvNorm
from unlearnable.models import create, restore, save
from unlearnable.study import Study

CPU = torch.device("cpu")
CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"


def perturb_statistics(network: nn.Module) -> None:
    """Give every batch norm weights and statistics far from their initial values."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.2, 3, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(-0.5, 0.5, generator=generator)


def relative_error(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).abs().max() / expected.abs().max()).detach())


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 2, 0), (3, 1, 0)])
def test_folding_is_batch_norm_after_convolution(kernel: int, stride: int, padding: int) -> None:
    layer = ConvNorm(3, 5, kernel, stride, padding)
    perturb_statistics(layer)
    layer.eval()
    x = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    assert relative_error(layer(x), layer.norm(layer.conv(x))) < 1e-4


@pytest.mark.parametrize("name", registry.available("networks"))
def test_a_folded_network_gives_the_logits_of_the_plain_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = create(name, 3, 10, 16, 0, CPU)
    perturb_statistics(network)
    pixels = torch.randint(0, 256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    with torch.no_grad():
        folded = network(pixels)

        def plain(layer: ConvNorm, x: Tensor) -> Any:
            return layer.norm(layer.conv(x))

        monkeypatch.setattr(ConvNorm, "forward", plain)
        assert relative_error(folded, network(pixels)) < 1e-4


@pytest.mark.parametrize("name", registry.available("networks"))
def test_the_input_gradient_equals_that_of_the_plain_network(name: str) -> None:
    network = create(name, 3, 10, 16, 0, CPU)
    perturb_statistics(network)
    draws = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (8, 3, 16, 16), generator=draws).float()
    labels = torch.arange(8)
    with frozen(network, torch.float32) as fixed:
        found = fixed.gradient(pixels, labels)
    leaf = pixels.clone().requires_grad_()
    loss = F.cross_entropy(plain.unfolded(network).eval()(leaf), labels, reduction="sum")
    (expected,) = torch.autograd.grad(loss, leaf)
    assert relative_error(found, expected) < 1e-5
    differ = found.sign() != expected.sign()
    assert (expected[differ].abs() < 1e-5 * expected.abs().max()).all()


def test_batch_norm_is_folded_once_while_a_network_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    folded, calls = ConvNorm.folded, list[ConvNorm]()

    def counted(layer: ConvNorm) -> tuple[Tensor, Tensor]:
        calls.append(layer)
        return folded(layer)

    monkeypatch.setattr(ConvNorm, "folded", counted)
    pixels, labels = torch.zeros(2, 1, 8, 8), torch.tensor([0, 1])
    for _ in range(2):  # weights may change between two times, not within one
        calls.clear()
        with frozen(network, torch.float32) as fixed:
            before = fixed.gradient(pixels, labels)
            fixed.gradient(pixels, labels)
        assert len(calls) == 4
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(1.5)
    assert not torch.equal(before, torch.zeros_like(before))
    with frozen(network, torch.float32) as fixed:
        assert not torch.equal(fixed.gradient(pixels, labels), before)


@pytest.mark.parametrize("name", registry.available("networks"))
def test_bfloat16_agrees_with_float32_on_most_signs(name: str) -> None:
    network = create(name, 3, 10, 16, 0, CPU)
    pixels = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
    signs = []
    for precision in (torch.float32, torch.bfloat16):
        with frozen(network, precision) as fixed:
            signs.append(fixed.gradient(pixels, torch.arange(8)).sign())
    assert float((signs[0] == signs[1]).float().mean()) > 0.9


def test_training_mode_uses_and_updates_batch_statistics() -> None:
    layer = ConvNorm(1, 2, 3, padding=1).train()
    out = layer(torch.rand(8, 1, 6, 6))
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    assert layer.norm.running_mean is not None
    assert (layer.norm.running_mean != 0).all()


def test_resnet18_has_the_parameters_of_the_published_network() -> None:
    network = registry.load("networks", "resnet18").build(3, 10)
    assert sum(p.numel() for p in network.parameters()) == 11_173_962


def test_a_network_sees_pixels_centred_in_half_the_unit_interval() -> None:
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    seen: list[Tensor] = []
    network.get_submodule("body").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 1, 8, 8))
    assert (seen[0][0] == -0.5).all()
    assert (seen[0][1] == 0.5).all()


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(11)
    first = create("small-cnn", 1, 3, 8, 0, CPU).state_dict()
    after = torch.rand(1)
    torch.manual_seed(12)
    again = create("small-cnn", 1, 3, 8, 0, CPU).state_dict()
    other = create("small-cnn", 1, 3, 8, 1, CPU).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not all(torch.equal(value, other[key]) for key, value in first.items())
    torch.manual_seed(11)
    assert torch.equal(torch.rand(1), after)  # the global stream is left alone


def test_a_network_of_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError, match=r"resnet19.*known: .*resnet18"):
        registry.load("networks", "resnet19")


def test_a_study_names_the_unknown_network_and_the_nearest_known_one() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    config["experiments"]["radius"]["victims"]["networks"] = ["resnet19"]
    with pytest.raises(UserError, match=r"victims\.networks\.0: network 'resnet19' .*did you mean 'resnet18'"):
        Study(config, [CONFIG])


def test_images_too_odd_for_a_network_are_refused() -> None:
    with pytest.raises(UserError, match="small-cnn cannot take 1x9x9 images"):
        create("small-cnn", 1, 3, 9, 0, CPU)


def test_weights_survive_their_file(tmp_path: Path) -> None:
    network = create("small-cnn", 1, 3, 8, 0, CPU)
    perturb_statistics(network)
    save(network, tmp_path / "model.safetensors")
    other = create("small-cnn", 1, 3, 8, 1, CPU)
    restore(other, tmp_path / "model.safetensors")
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("content", [None, b"", b"not safetensors", b"\x08" + bytes(20)])
def test_weights_of_another_network_or_damaged_ones_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.safetensors"
    if content is None:
        save(create("small-cnn", 3, 3, 8, 0, CPU), path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match="not the weights of this network"):
        restore(create("small-cnn", 1, 3, 8, 0, CPU), path)
