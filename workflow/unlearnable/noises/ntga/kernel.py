"""Infinitely wide fully connected networks: their kernels, and the result of training them, in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor

TOUCHING = 1e-13  # a cosine this close to 1 or -1 counts as 1 or -1: angles below 5e-7 are lost in rounding
SMALL = 1e-3  # exponents below which the series of the divided difference is more accurate


@dataclass(frozen=True)
class WideNetwork:
    """An infinitely wide fully connected network in NTK parametrisation.

    Every layer is ``sqrt(weight_variance / inputs) * W a + sqrt(bias_variance) * b`` with standard normal ``W`` and
    ``b``. The readout after ``depth`` hidden layers is one more such layer, without an activation, or there is none.

    Attributes:
        depth: hidden layers.
        weight_variance: of a layer's weights, times its number of inputs.
        bias_variance: of a layer's biases; if it is 0, no input may be zero.
        activation: of the hidden layers.
        readout: ``linear`` or ``none``.
    """

    depth: int
    weight_variance: float
    bias_variance: float
    activation: Literal["relu", "erf"]
    readout: Literal["linear", "none"] = "linear"

    def kernels(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The covariance of its outputs at initialisation (NNGP) and its neural tangent kernel (NTK).

        With ``V`` and ``V'`` the expected products of the activation and of its derivative at two Gaussian inputs of
        covariance S, the recursion from layer to layer (Jacot et al. 2018; Lee et al. 2019) is::

            S <- weight_variance * V(S) + bias_variance        T <- S + weight_variance * V'(S) * T

        from ``S = T = weight_variance * x.z / inputs + bias_variance``. Without a readout, the last step is only
        ``S <- V(S), T <- V'(S) * T``. ReLU's NTK has a kink where two inputs have the same direction. Its gradient
        there is the mean of the one-sided gradients; on the diagonal of ``kernels(x, x)``, where an input meets itself
        and the angle stays zero, this is the exact gradient.

        Args:
            x: ``(N, D)``, float64.
            z: ``(M, D)``, float64.

        Returns:
            NNGP and NTK, each ``(N, M)``, float64.
        """
        layer = _relu if self.activation == "relu" else _erf
        s = self._affine(x @ z.T / x.shape[1])
        q_x = self._affine(x.square().mean(1))[:, None]  # each input with itself
        q_z = self._affine(z.square().mean(1))[None, :]
        t = s
        for number in range(1, self.depth + 1):
            v, slope = layer(s, q_x, q_z)
            if number == self.depth and self.readout == "none":
                return v, slope * t
            s = self._affine(v)
            t = s + self.weight_variance * slope * t
            q_x, q_z = (self._affine(layer(q, q, q)[0]) for q in (q_x, q_z))
        return s, t

    def _affine(self, v: Tensor) -> Tensor:
        return self.weight_variance * v + self.bias_variance


def trained(kernel: Tensor, targets: Tensor, time: float) -> Tensor:
    """A wide network after training by gradient flow on the squared error, from the zero function, for some time.

    Its prediction at any x is then ``K(x, X) A`` with ``A = K^-1 (1 - exp(-time K)) targets`` (Lee et al. 2019, eq. 10
    and 11). Singular kernels and equal eigenvalues need no special treatment, here and in the gradient.

    Args:
        kernel: K, ``(N, N)``, symmetric and positive semidefinite, float64; differentiable.
        targets: ``(N, C)``, float64; not differentiable.
        time: at a rate of 1 and a loss of half the summed squared error.

    Returns:
        A, ``(N, C)``, float64.
    """
    return cast(Tensor, _Trained.apply(kernel, targets, time))


def _relu(s: Tensor, q_x: Tensor, q_z: Tensor) -> tuple[Tensor, Tensor]:
    """``V`` and ``V'`` of ReLU: the arc-cosine kernels (Cho and Saul 2009)."""
    norm = q_x.sqrt() * q_z.sqrt()
    first, zeroth = _ArcCosine.apply(s / norm)
    return norm / 2 * first, zeroth / 2


def _erf(s: Tensor, q_x: Tensor, q_z: Tensor) -> tuple[Tensor, Tensor]:
    """``V`` and ``V'`` of the error function: the arc-sine kernel (Williams 1997)."""
    square = (1 + 2 * q_x) * (1 + 2 * q_z)
    return 2 / math.pi * torch.asin(2 * s / square.sqrt()), 4 / math.pi * (square - 4 * s * s).rsqrt()


class _ArcCosine(torch.autograd.Function):
    """The arc-cosine kernels of first and zeroth order as functions of the cosine c of the angle a.

    ``k1 = (sin a + (pi - a) cos a) / pi`` has the derivative ``k0 = (pi - a) / pi``, whose own, ``1 / (pi sin a)``,
    has no limit at c = 1 and -1, where 0 is used instead.
    """

    @staticmethod
    def forward(ctx: Any, c: Tensor) -> tuple[Tensor, Tensor]:
        """``k1`` and ``k0``."""
        c = torch.where(c.abs() > 1 - TOUCHING, c.sign(), c)
        sine = ((1 - c) * (1 + c)).sqrt()
        zeroth = 1 - torch.acos(c) / math.pi
        ctx.save_for_backward(sine, zeroth)
        return sine / math.pi + zeroth * c, zeroth

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """The gradient with respect to the cosine."""
        sine, slope = ctx.saved_tensors
        by_first, by_zeroth = gradients
        by_cosine: Tensor = by_first * slope + torch.where(sine > 0, by_zeroth / (math.pi * sine), 0)
        return by_cosine


class _Trained(torch.autograd.Function):
    """``p(K) targets`` with ``p(l) = (1 - exp(-time l)) / l``.

    The derivative of a function of a symmetric matrix is, in its eigenbasis, a product entry by entry with the divided
    differences ``(p(l) - p(m)) / (l - m)`` (Daleckii and Krein 1965): finite where eigenvalues are equal, unlike the
    derivative of the eigenvectors.
    """

    @staticmethod
    def forward(ctx: Any, kernel: Tensor, targets: Tensor, time: float) -> Tensor:
        """``p(K) targets``."""
        values, vectors = torch.linalg.eigh(kernel)
        exponents = time * values.clamp_min(0)  # negative only by rounding
        spread = vectors.T @ targets
        ctx.save_for_backward(exponents, vectors, spread)
        ctx.time = time
        weights: Tensor = time * (vectors @ (_saturation(exponents)[:, None] * spread))
        return weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """The gradient with respect to the kernel, symmetric."""
        exponents, vectors, spread = ctx.saved_tensors
        inner = ctx.time**2 * _saturation_differences(exponents) * (vectors.T @ gradients[0] @ spread.T)
        whole = vectors @ inner @ vectors.T
        return (whole + whole.T) / 2, None, None


def _saturation(u: Tensor) -> Tensor:
    """``(1 - exp(-u)) / u`` for u >= 0, which is 1 at 0."""
    return torch.where(u > 0, -torch.expm1(-u) / u, 1)


def _saturation_differences(u: Tensor) -> Tensor:
    """The divided differences of ``_saturation``, ``(N, N)`` for ``(N,)``, without cancellation between close values.

    For s = _saturation and a >= b, ``a s(a) = 1 - exp(-a)`` gives ``s[a, b] = (exp(-b) s(a - b) - s(b)) / a``; for
    small a it is the series ``-1/2 + (a + b)/6 - ...``.
    """
    a, b = torch.maximum(u[:, None], u), torch.minimum(u[:, None], u)
    series = -1 / 2 + (a + b) / 6 - (a * a + a * b + b * b) / 24 + (a + b) * (a * a + b * b) / 120
    return torch.where(a > SMALL, (torch.exp(-b) * _saturation(a - b) - _saturation(b)) / a, series)
