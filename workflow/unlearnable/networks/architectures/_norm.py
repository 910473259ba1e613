"""Layer norm of images, for networks without batch norm."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels at each place of an image."""

    def forward(self, input: Tensor) -> Tensor:
        """Map ``(B, C, H, W)`` to the same shape."""
        last = input.permute(0, 2, 3, 1)
        return F.layer_norm(last, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)
