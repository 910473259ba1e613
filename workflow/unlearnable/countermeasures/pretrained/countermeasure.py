"""Training that starts from given weights; some of them may stay as they are."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from unlearnable import files
from unlearnable.countermeasures._victims import VictimMeasure
from unlearnable.countermeasures.pretrained.settings import Pretrained
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError


def build(settings: Pretrained, train: Split, classes: int, seed: int) -> VictimMeasure:
    """The weights and running statistics of ``file``, except those of the head, the last linear layer.

    The head is new, because the file's classes are others. Running statistics of frozen layers still follow the images.

    Raises:
        UserError: from ``prepare``: the file is missing, is not the one meant, or does not fit the network.
    """

    def prepare(network: nn.Module) -> None:
        start(network, checked(settings))
        freeze(network, settings.frozen)

    return VictimMeasure(prepare=prepare)


def checked(settings: Pretrained) -> Path:
    """The file of weights: as its checksum says or, of a victim of the study, as its metrics say.

    Raises:
        UserError: it is missing or is not the one meant.
    """
    path = Path(settings.file or "")
    if settings.sha256 is None:
        files.check_files(path.with_name("metrics.json"), path)
    elif (fault := files.damage(path, settings.sha256)) is not None:
        raise UserError(f"counter-measure pretrained: {path}: {fault}; its victim must be trained before this one")
    return path


def start(network: nn.Module, path: Path) -> None:
    """Load the weights of all layers but the head.

    Raises:
        UserError: the file is damaged or has the weights of another network.
    """
    head = f"{_head(network)}."
    own = network.state_dict()
    try:
        loaded = {key: value for key, value in load_file(path).items() if not key.startswith(head)}
        network.load_state_dict(loaded | {key: value for key, value in own.items() if key.startswith(head)})
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise UserError(f"{path}: not the weights of this network ({str(error).splitlines()[0]})") from error


def freeze(network: nn.Module, frozen: str) -> None:
    """Keep the weights of some layers: ``none``, the first ``half``, or ``all-but-head``.

    Layers are counted in the order in which the network defines them, which is that of the forward pass.
    """
    layers = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    kept = {"none": 0, "half": len(layers) // 2, "all-but-head": len(layers) - 1}[frozen]
    after = layers[kept]
    for name, module in network.named_modules():
        if name == after:
            break
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)


def _head(network: nn.Module) -> str:
    """The name of the last linear layer."""
    names: list[str] = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    return names[-1]
