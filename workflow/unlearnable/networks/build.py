"""Networks by name, with seeded weights, and their files."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import nn

from unlearnable import files, registry
from unlearnable.errors import UserError
from unlearnable.networks.folding import PixelNetwork, pair
from unlearnable.networks.initialisation import he_normal
from unlearnable.randomness import derived_seed


def create(
    name: str,
    channels: int,
    classes: int,
    image_size: int,
    seed: int,
    device: torch.device,
    stem: str = "cifar",
    initialisation: str = "default",
) -> nn.Module:
    """A network with newly drawn weights that depend only on ``seed``.

    Args:
        name: of the architecture.
        channels: of the images.
        classes: number of classes.
        image_size: height and width of the images.
        seed: determines the weights.
        device: to place the network on.
        stem: ``cifar`` for small images, ``imagenet`` for large ones.
        initialisation: ``default`` for PyTorch's initial weights, ``he-normal`` for those of the architecture's own
            ``he_normal`` or, if it has none, of ``networks.initialisation``.

    Raises:
        UserError: the network cannot take images of this size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(seed, "weights"))
        architecture = registry.load_module("networks", name)
        body = architecture.build(channels, classes, stem)
        if initialisation == "he-normal":
            getattr(architecture, "he_normal", he_normal)(body)
        network = PixelNetwork(body)
    pair(network)
    network.eval()
    try:
        with torch.no_grad():
            network(torch.zeros(1, channels, image_size, image_size))
    except RuntimeError as error:
        problem = str(error).splitlines()[0]
        raise UserError(
            f"network {name} with stem {stem} cannot take {channels}x{image_size}x{image_size} images: {problem}"
        ) from error
    return network.to(device).to(memory_format=torch.channels_last)


def save_weights(network: nn.Module, path: str | Path) -> None:
    """Write the weights as safetensors."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with files.atomic(path) as file:
        file.write(serialize(tensors))


def load_weights(network: nn.Module, path: str | Path) -> None:
    """Load the weights that ``save_weights`` wrote.

    Raises:
        UserError: the file is damaged or has the weights of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise UserError(f"{path}: not the weights of this network ({str(error).splitlines()[0]})") from error
