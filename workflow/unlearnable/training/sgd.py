"""Stochastic gradient descent with momentum and weight decay."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.sgd import sgd


class Sgd:
    """The updates of ``torch.optim.SGD``, to the bit, without its import of torch's compiler, which takes a second.

    Args:
        parameters: to train.
        momentum: share of the earlier updates that each update keeps.
        weight_decay: share of the weights that is added to their gradients.
    """

    def __init__(self, parameters: Iterable[Tensor], momentum: float, weight_decay: float) -> None:
        self._parameters = list(parameters)
        self._momentum, self._weight_decay = momentum, weight_decay
        self._buffers: list[Tensor | None] = [None] * len(self._parameters)

    def forget_gradients(self) -> None:
        """Remove the gradients, before those of the next batch are computed."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update the parameters that have a gradient.

        Args:
            lr: learning rate of this step.
        """
        at = [index for index, parameter in enumerate(self._parameters) if parameter.grad is not None]
        parameters = [self._parameters[index] for index in at]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        buffers = [self._buffers[index] for index in at]
        sgd(
            *(parameters, gradients, buffers),
            weight_decay=self._weight_decay,
            momentum=self._momentum,
            lr=lr,
            dampening=0,
            nesterov=False,
            maximize=False,
        )
        if self._momentum:
            for index, buffer in zip(at, buffers, strict=True):
                self._buffers[index] = buffer

    def state(self) -> list[Tensor | None]:
        """What a checkpoint needs: the momentum of each parameter; None before its first update."""
        return self._buffers

    def restore(self, state: list[Tensor | None]) -> None:
        """Continue from a state, which may lie on another device."""
        self._buffers = [
            None if buffer is None else buffer.to(parameter.device)
            for buffer, parameter in zip(state, self._parameters, strict=True)
        ]
