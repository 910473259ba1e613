"""A plain implementation in the usual style: the baseline of the benchmark and the reference of exactness tests.

Float32, NCHW, one image transformed at a time, the J transforms one after another, batch norm as a layer of its own,
batches from a DataLoader. All draws come from the generator in the same order as in the library.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from unlearnable.datasets.augmentation import Augmentation
from unlearnable.networks.folding import ConvNorm
from unlearnable.noises.method import Problem

Batches = Iterator[tuple[Tensor, Tensor]]


def unfolded(network: nn.Module) -> nn.Module:
    """A copy in NCHW whose batch norm is never folded into the convolution before it."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, ConvNorm):
                setattr(module, name, nn.Sequential(child.conv, child.norm))
    return network.to(memory_format=torch.contiguous_format)


def transform(augmentation: Augmentation, images: Tensor, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    """A flip and a crop for each of ``images``, applied one by one; autograd can differentiate through it."""
    p, count = augmentation.crop_padding, len(images)
    device = generator.device
    flips, tops, lefts = [False] * count, [0] * count, [0] * count
    if augmentation.flip:
        flips = (torch.rand(count, generator=generator, device=device) < 0.5).tolist()
    if p:
        tops, lefts = torch.randint(2 * p + 1, (2, count), generator=generator, device=device).tolist()

    def apply(batch: Tensor) -> Tensor:
        height, width = batch.shape[2:]
        out = []
        for image, flip, top, left in zip(batch, flips, tops, lefts, strict=True):
            flipped = image.flip(2) if flip else image
            padded = F.pad(flipped, (p, p, p, p))
            out.append(padded[:, top : top + height, left : left + width])
        return torch.stack(out)

    return apply


def start(images: Tensor, radius: float, generator: torch.Generator) -> Tensor:
    """A uniform draw in the box of ``radius`` (1/255)."""
    shape, dtype, device = images.shape, images.dtype, images.device
    return torch.empty(shape, dtype=dtype, device=device).uniform_(-radius, radius, generator=generator)


def attack(
    network: nn.Module, z: Tensor, y: Tensor, radius: float, steps: int, alpha: float, generator: torch.Generator
) -> Tensor:
    """The attacked image z + e, in [0, 255], after PGD ascent from a random start (Madry et al. 2018)."""
    attacked = (z + start(z, radius, generator)).clamp(0, 255)
    for _ in range(steps):
        attacked.requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(network(attacked), y), attacked)
        e = (attacked.detach() + alpha * radius * g.sign() - z).clamp(-radius, radius)
        attacked = (z + e).clamp(0, 255)
    return attacked


def clip(d: Tensor, x: Tensor, problem: Problem[Any]) -> Tensor:
    """The noise, clipped as after a descent step."""
    d = d.detach().clamp(-problem.rho_u, problem.rho_u)
    return (x + d).clamp(0, 255) - x if problem.settings.clip == "pixels" else d


def protected(x: Tensor, d: Tensor, problem: Problem[Any]) -> Tensor:
    """x + d, clamped if it can leave the range; autograd treats the clamp's ends as outside."""
    return x + d if problem.settings.clip == "pixels" else (x + d).clamp(0, 255)


def em_noise(network: nn.Module, x: Tensor, y: Tensor, problem: Problem[Any], generator: torch.Generator) -> Tensor:
    """Error-minimizing noise before rounding (Huang et al. 2021). ``network`` is in eval mode."""
    d = clip(start(x, problem.rho_u, generator), x, problem)
    for _ in range(problem.settings.k_u):
        d.requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(network(protected(x, d, problem)), y), d)
        d = clip(d - problem.settings.alpha_u * problem.rho_u * g.sign(), x, problem)
    return d


def robust_noise(
    network: nn.Module,
    x: Tensor,
    y: Tensor,
    problem: Problem[Any],
    ascent_steps: int,
    generator: torch.Generator,
    draw: Callable[[Augmentation, Tensor, torch.Generator], Callable[[Tensor], Tensor]] = transform,
) -> tuple[Tensor, list[Tensor]]:
    """The noise of Fu et al. 2022, Algorithm 1, before rounding, and the gradient of each descent step.

    Args:
        network: in eval mode.
        x: ``(B, C, H, W)``, float, whole numbers in [0, 255].
        y: ``(B,)`` int64.
        problem: with the settings of REM or SEM.
        ascent_steps: K_a for REM, 0 for SEM.
        generator: source of every draw.
        draw: how to draw and apply a transform.
    """
    s = problem.settings
    d = clip(start(x, problem.rho_u, generator), x, problem)
    gradients = []
    for _ in range(s.k_u):
        g = torch.zeros_like(x)
        for _ in range(s.j):
            t = draw(problem.augmentation, x, generator)
            d.requires_grad_()
            z = t(protected(x, d, problem))
            attacked = attack(network, z.detach(), y, problem.rho_a, ascent_steps, s.alpha_a, generator)
            e = attacked - z.detach()  # a constant: no gradient flows through the attack
            (part,) = torch.autograd.grad(F.cross_entropy(network(z + e), y, reduction="sum"), d)
            g = g + part
        gradients.append(g)
        d = clip(d - s.alpha_u * problem.rho_u * g.sign(), x, problem)
    return d, gradients


def attacked_inputs(
    network: nn.Module, x: Tensor, y: Tensor, d: Tensor, problem: Problem[Any], generator: torch.Generator
) -> Tensor:
    """The source model's input: protected images under a new draw of the transform and a new attack."""
    z = transform(problem.augmentation, x, generator)((x + d.round()).clamp(0, 255))
    return attack(network, z, y, problem.rho_a, problem.settings.k_a, problem.settings.alpha_a, generator)


def loader(images: Tensor, labels: Tensor, batch_size: int, workers: int) -> Batches:
    """Shuffled whole batches without end, from the workers of a DataLoader."""
    data = DataLoader(
        TensorDataset(images, labels),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        yield from data


def update(network: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, y: Tensor) -> None:
    """One SGD step in train mode."""
    network.train()
    loss = F.cross_entropy(network(inputs), y)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def source_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    problem: Problem[Any],
    generator: torch.Generator,
) -> None:
    """One step of REM's source training (Fu et al. 2022, Algorithm 1)."""
    network.eval()
    d, _ = robust_noise(network, x, y, problem, problem.settings.k_a, generator)
    update(network, optimizer, attacked_inputs(network, x, y, d, problem, generator), y)


def victim_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    radius: float,
    steps: int,
    alpha: float,
    generator: torch.Generator,
) -> None:
    """One step of adversarial training."""
    network.eval()
    z = transform(augmentation, x, generator)(x)
    update(network, optimizer, attack(network, z, y, radius, steps, alpha, generator), y)
