"""The wide networks' kernels against finite networks, quadrature and known values; training against its equation."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from unlearnable.noises.ntga.kernel import WideNetwork, trained

Activation = Literal["relu", "erf"]
ACTIVATIONS: list[Activation] = ["relu", "erf"]
SLOPES = {"relu": lambda u: (u > 0).to(u.dtype), "erf": lambda u: 2 / math.sqrt(math.pi) * torch.exp(-u * u)}
FUNCTIONS = {"relu": torch.relu, "erf": torch.erf}


def inputs(rows: int, size: int = 6, seed: int = 0) -> Tensor:
    return torch.rand(rows, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def wide(activation: Activation, depth: int = 5) -> WideNetwork:
    return WideNetwork(depth, 1.76, 0.18, activation)


def plain(*vectors: list[float]) -> Tensor:
    """Unit-variance inputs: of D values whose squares sum to D."""
    x = torch.tensor(vectors, dtype=torch.float64)
    return x / x.square().mean(1, keepdim=True).sqrt()


# ---- values


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_wide_networks_tangent_kernel_is_near_the_infinite_one(activation: Activation) -> None:
    """Jacobians of finite networks, by autograd, in NTK parametrisation.

    One draw's kernel scatters by about 5/sqrt(width) (five layers, each with a relative variance of up to 5/width), so
    by 0.11 at 2048 and its mean over 12 draws by 0.03; the tolerance is three times that. Without the gradients by the
    biases every entry would be 0.14 or more off.
    """
    width, draws, depth = 2048, 12, 5
    x = inputs(3).float()
    x[1] = -x[1]  # so that angles are not all small
    total = torch.zeros(3, 3)
    random = torch.Generator().manual_seed(0)
    sizes = [x.shape[1], *[width] * depth, 1]
    for _ in range(draws):
        parameters = [
            torch.randn(shape, generator=random).requires_grad_()
            for i, o in itertools.pairwise(sizes)
            for shape in ((o, i), (o,))
        ]
        a = x
        for layer in range(depth + 1):
            w, b = parameters[2 * layer : 2 * layer + 2]
            z = math.sqrt(1.76 / w.shape[1]) * a @ w.T + math.sqrt(0.18) * b
            a = FUNCTIONS[activation](z)
        rows = [torch.autograd.grad(output, parameters, retain_graph=True) for output in z[:, 0]]
        total += torch.tensor(
            [[sum(float((p * q).sum()) for p, q in zip(r, s, strict=True)) for s in rows] for r in rows]
        )
    _, ntk = wide(activation).kernels(x.double(), x.double())
    torch.testing.assert_close((total / draws).double(), ntk, rtol=0.1, atol=0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_one_layers_kernels_are_the_gaussian_expectations_they_stand_for(activation: Activation) -> None:
    x, z = inputs(3), inputs(2, seed=1) - 0.5
    u = torch.linspace(-7, 7, 1000, dtype=torch.float64)
    p = torch.softmax(-u * u / 2, 0)  # a fine grid's normal weights
    nngp, ntk = wide(activation, depth=1).kernels(x, z)

    def covariance(a: Tensor, b: Tensor) -> float:
        return float(1.76 * a @ b / len(a) + 0.18)

    for i, j in np.ndindex(3, 2):
        s = covariance(x[i], z[j])
        first = math.sqrt(covariance(x[i], x[i])) * u[:, None]
        rest = math.sqrt(covariance(z[j], z[j]) - s * s / covariance(x[i], x[i]))
        second = s / math.sqrt(covariance(x[i], x[i])) * u[:, None] + rest * u[None, :]
        v, slope = (
            float((p[:, None] * p * f[activation](first) * f[activation](second)).sum()) for f in (FUNCTIONS, SLOPES)
        )
        assert float(nngp[i, j]) == pytest.approx(1.76 * v + 0.18, rel=1e-4)
        assert float(ntk[i, j]) == pytest.approx(1.76 * v + 0.18 + 1.76 * slope * s, rel=2e-3)  # ReLU's slope jumps


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [1, 5])
def test_a_network_without_a_readout_is_what_the_readout_is_put_on(activation: Activation, depth: int) -> None:
    """By the recursion of one more layer: S = 1.76 V + 0.18 and T = S + 1.76 V' T of the layer before it."""
    x, z = inputs(3), inputs(2, seed=1) - 0.5
    nngp, ntk = wide(activation, depth).kernels(x, z)
    bare = WideNetwork(depth, 1.76, 0.18, activation, "none")
    v, slope_t = bare.kernels(x, z)
    torch.testing.assert_close(1.76 * v + 0.18, nngp)
    torch.testing.assert_close(nngp + 1.76 * slope_t, ntk)


def test_the_released_networks_kernels_are_the_gaussian_expectations_of_its_last_error_function() -> None:
    """Five times the arc-sine kernel (Williams 1997), of which the last is not followed by a layer."""
    x = inputs(4)
    s = 1.76 * x @ x.T / x.shape[1] + 0.18
    t = s
    for number in range(5):
        q = s.diagonal()
        scale = ((1 + 2 * q)[:, None] * (1 + 2 * q)).sqrt()
        v, slope = 2 / math.pi * (2 * s / scale).asin(), 4 / math.pi / (scale**2 - 4 * s**2).sqrt()
        s, t = (1.76 * v + 0.18, 1.76 * v + 0.18 + 1.76 * slope * t) if number < 4 else (v, slope * t)
    nngp, ntk = WideNetwork(5, 1.76, 0.18, "erf", "none").kernels(x, x)
    torch.testing.assert_close(nngp, s)
    torch.testing.assert_close(ntk, t)


def test_relus_kernels_without_bias_at_right_and_straight_angles() -> None:
    """With weight variance 2: S1 = 2 k1(angle) and T1 = S1 + 2 cos(angle) k0(angle); k1, k0 = 1, 1; 1/pi, 1/2; 0, 0."""
    nngp, ntk = WideNetwork(1, 2, 0, "relu").kernels(plain([1, 0]), plain([1, 0], [0, 1], [-1, 0]))
    torch.testing.assert_close(nngp, torch.tensor([[2, 2 / math.pi, 0]], dtype=torch.float64))
    torch.testing.assert_close(ntk, torch.tensor([[4, 2 / math.pi, 0]], dtype=torch.float64))


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_relus_tangent_kernel_of_an_input_with_itself_grows_by_its_variance_a_layer(depth: int) -> None:
    """Weight variance 2, no bias: S stays at q, V' is 1/2, so T <- q + T, which is (depth + 1) q in the end."""
    x = 3 * plain([1, 2, 2])
    nngp, ntk = WideNetwork(depth, 2, 0, "relu").kernels(x, x)
    assert float(nngp) == pytest.approx(18)
    assert float(ntk) == pytest.approx((depth + 1) * 18)


def test_relus_variance_approaches_its_fixed_point() -> None:
    """q <- 1.76 q/2 + 0.18 has the fixed point 1.5, of which 0.88 of the distance is left after each layer."""
    x = inputs(4)
    q = 1.76 * x.square().mean(1) + 0.18
    nngp, _ = wide("relu", depth=7).kernels(x, x)
    torch.testing.assert_close(nngp.diagonal(), 1.5 + 0.88**7 * (q - 1.5))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_kernels_are_symmetric_positive_and_made_entry_by_entry(activation: Activation) -> None:
    x = torch.cat([inputs(20), inputs(3)])  # the first three twice
    for kernel in wide(activation).kernels(x, x):
        torch.testing.assert_close(kernel, kernel.T, rtol=1e-14, atol=0)
        values = torch.linalg.eigvalsh(kernel)
        assert values[0] > -1e-13 * values[-1]
        assert torch.linalg.eigvalsh(kernel[:20, :20])[0] > 1e-6
    part = wide(activation).kernels(x[2:5], x[7:9])
    for piece, kernel in zip(part, wide(activation).kernels(x, x), strict=True):
        torch.testing.assert_close(piece, kernel[2:5, 7:9], rtol=1e-12, atol=0)


# ---- gradients


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_kernels_gradients_are_right(activation: Activation) -> None:
    network = wide(activation, depth=3)
    x, z = inputs(3, 4).requires_grad_(), (inputs(2, 4, seed=1) - 0.5).requires_grad_()
    assert gradcheck(network.kernels, (x, z))
    assert gradcheck(lambda x: network.kernels(x, x), x)  # with the diagonal


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_diagonals_gradient_is_that_of_one_inputs_kernel(activation: Activation) -> None:
    x = inputs(3)

    def diagonal(x: Tensor) -> Tensor:
        return wide(activation).kernels(x, x)[1].diagonal()

    (gradient,) = torch.autograd.grad(diagonal(y := x.clone().requires_grad_()).sum(), y)
    step = 1e-6 * torch.eye(x.shape[1], dtype=x.dtype)
    for i in range(len(x)):
        around = (diagonal(x[i] + step) - diagonal(x[i] - step)) / 2e-6
        torch.testing.assert_close(gradient[i], around, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_at_a_copy_of_an_input_the_gradient_is_the_mean_of_both_sides(activation: Activation) -> None:
    x = inputs(2)
    z = torch.cat([x[:1], x[:1]])
    y = x[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(wide(activation).kernels(y, z)[1].sum(), y)
    h = 1e-5
    step = h * torch.eye(x.shape[1], dtype=x.dtype)
    around = (wide(activation).kernels(x[0] + step, z)[1] - wide(activation).kernels(x[0] - step, z)[1]).sum(1) / (
        2 * h
    )
    torch.testing.assert_close(gradient[0], around, rtol=1e-4, atol=1e-6)


# ---- training


def symmetric(a: Tensor) -> Tensor:
    return 0.5 * (a + a.T)


def test_training_solves_its_differential_equation() -> None:
    """d/dt f = -K (f - Y) from f = 0, by the matrix exponential; f = K A."""
    x, y = inputs(7), torch.eye(7, 3, dtype=torch.float64)
    kernel = wide("relu").kernels(x, x)[1]
    for time in (1e-3, 0.1, 2.0, 1e3):
        expected = y - torch.linalg.matrix_exp(-time * kernel) @ y
        torch.testing.assert_close(kernel @ trained(kernel, y, time), expected, rtol=1e-9, atol=1e-12)


def test_training_forever_interpolates_and_not_at_all_leaves_the_first_step() -> None:
    x, y = inputs(5), inputs(5, 2)
    kernel = wide("relu").kernels(x, x)[1]
    torch.testing.assert_close(trained(kernel, y, 1e12), torch.linalg.solve(kernel, y), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(trained(kernel, y, 1e-9) / 1e-9, y, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(trained(torch.zeros_like(kernel), y, 2.0), 2 * y)  # p(0) is the time


def matrix(values: list[float]) -> Tensor:
    """A symmetric matrix with these eigenvalues."""
    basis, _ = torch.linalg.qr(inputs(len(values), len(values)) - 0.5)
    return symmetric(basis * torch.tensor(values, dtype=torch.float64) @ basis.T)


@pytest.mark.parametrize(
    "values",
    [[0.3, 1, 2, 5], [1, 1, 1, 1], [2, 2, 2 + 1e-9, 3], [1e-4, 2e-4, 0.5e-4, 1e-4], [1e-5, 0.9e-3, 1.1e-3, 40]],
    ids=["apart", "equal", "nearly equal", "small", "wide range"],
)
def test_trainings_gradient_is_right_whatever_the_eigenvalues(values: list[float]) -> None:
    y = inputs(4, 2)
    assert gradcheck(lambda a: trained(symmetric(a), y, 1.5), matrix(values).requires_grad_(), eps=1e-5)


def test_trainings_gradient_is_exact_across_the_series_and_the_quotient() -> None:
    """Against the integral p(K) = int_0^1 exp(-s K) ds, differentiated through the matrix exponential."""
    y, weight = inputs(5, 2), inputs(5, 2, seed=1)
    nodes, weights = np.polynomial.legendre.leggauss(30)
    for values in ([1e-7, 0.99e-3, 0.9999e-3, 1.0001e-3, 1.1e-3], [0, 1e-6, 1e-2, 3, 30]):
        a = matrix(values).requires_grad_()
        (gradient,) = torch.autograd.grad((trained(symmetric(a), y, 1.0) * weight).sum(), a)
        integral = sum(
            w / 2 * torch.linalg.matrix_exp(-(n + 1) / 2 * symmetric(a)) for n, w in zip(nodes, weights, strict=True)
        )
        (expected,) = torch.autograd.grad(((integral @ y) * weight).sum(), a)
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-11)
