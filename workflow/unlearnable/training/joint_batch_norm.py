"""Batch norm over the images of one batch that is shared by several ranks."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unlearnable.training.ranks import Ranks


class JointBatchNorm(nn.BatchNorm2d):
    """Batch norm whose training pass takes mean and variance over all ranks' images, as one process would.

    Replaces torch's ``SyncBatchNorm``, which does not run on a CPU. Statistics are computed in float32 if the images
    are less exact. In eval mode, and in the names of its state, it equals ``BatchNorm2d``.

    Args:
        norm: the batch norm to replace; its parameters and running statistics are kept.
        ranks: the processes that share the batch; each has the same number of images.
    """

    def __init__(self, norm: nn.BatchNorm2d, ranks: Ranks) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.ranks = ranks
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        if not self.training:
            return super().forward(x)
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        out: Tensor
        out, mean, variance = _Normalise.apply(x, self.weight, self.bias, self.eps, self.ranks)
        with torch.no_grad():
            count = self.ranks.size * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        return out


def synchronise(network: nn.Module, ranks: Ranks) -> None:
    """Make every batch norm of ``network``, in place, take its statistics over all ranks' images."""
    if ranks.size == 1:
        return
    for name, module in list(network.named_modules()):
        if type(module) is nn.BatchNorm2d:
            network.set_submodule(name, JointBatchNorm(module, ranks))


class _Normalise(torch.autograd.Function):
    """Normalised images, and the mean and the biased variance of each channel over all ranks, ``(C,)``."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, ranks: Ranks
    ) -> tuple[Tensor, Tensor, Tensor]:
        variance, mean = torch.var_mean(_exact(x), (0, 2, 3), correction=0)
        parts = ranks.gathered(torch.stack([mean, variance])[None])
        means, variances = parts.unbind(1)  # each of the same number of pixels
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)  # within the ranks, and between them
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.ranks = ranks
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, mean, scale = ctx.saved_tensors
        gradient = _exact(gradient)
        normal = (_exact(x) - _channels(mean)) * _channels(scale)
        of_bias, of_weight = gradient.sum((0, 2, 3)), (gradient * normal).sum((0, 2, 3))
        # Every rank's images affect the statistics that normalise the images of all ranks.
        pixels = x.numel() // x.shape[1]
        through_mean, through_variance = ctx.ranks.mean(torch.stack([of_bias, of_weight])) / pixels
        of_x = gradient - _channels(through_mean) - normal * _channels(through_variance)
        return (of_x * _channels(scale * weight)).to(x.dtype), of_weight, of_bias, None, None


def _exact(values: Tensor) -> Tensor:
    """As float32, unless it is more exact already."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _channels(values: Tensor) -> Tensor:
    return values[:, None, None]
