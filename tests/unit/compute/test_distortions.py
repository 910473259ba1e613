"""What trainers may do to images, with gradients."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn, idctn
from torch import Tensor

from unlearnable.compute import distortions
from unlearnable.compute import draws as block_draws
from unlearnable.compute.distortions import DISTORTIONS, draw

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth(channels: int, height: int = 16, width: int = 24) -> Tensor:
    """Whole grey levels without sharp edges, so that a codec changes them little, ``(3, C, H, W)`` float64."""
    coarse = torch.rand(3, channels, 4, 4, generator=generator(1), dtype=torch.float64)
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    return (40 + 170 * fine).clamp(0, 255).round()


def one(name: str, pixels: Tensor, u: list[float]) -> Tensor:
    """A distortion with given uniform draws."""
    return DISTORTIONS[name](pixels, torch.tensor([u] * len(pixels)), generator())(pixels)


@pytest.mark.parametrize("name", DISTORTIONS)
@pytest.mark.parametrize(("channels", "side"), [(1, 12), (3, 16)])
def test_pixels_stay_pixels_and_the_gradient_is_finite(name: str, channels: int, side: int) -> None:
    pixels = torch.randint(0, 256, (5, channels, side, side), generator=generator()).float().requires_grad_()
    found = draw([name], pixels, generator(2))(pixels)
    assert found.shape == pixels.shape
    assert found.dtype == pixels.dtype
    assert found.min() >= -1e-3
    assert found.max() <= 255 + 1e-3
    assert torch.equal(found, draw([name], pixels, generator(2))(pixels))
    (gradient,) = torch.autograd.grad(found.square().sum(), pixels)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_that_of_pillow(quality: int, channels: int) -> None:
    """The same file by another library, which rounds pixels as well."""
    pixels = smooth(channels)
    u = (quality - 10 + 0.5) / 81
    found = one("jpeg", pixels, [u, 0, 0])
    for image, mine in zip(pixels, found, strict=True):
        array = image.permute(1, 2, 0).numpy().astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(array[..., 0] if channels == 1 else array).save(file, "JPEG", quality=quality, subsampling=0)
        theirs = np.asarray(Image.open(file), np.float64).reshape(array.shape)
        difference = np.abs(mine.permute(1, 2, 0).numpy() - theirs)
        changed = np.abs(array - theirs).mean()
        assert changed > 0.4  # quality 90 changes something, too
        assert difference.mean() < 0.5 + 0.2 * changed  # a coefficient at half a step may go the other way


def test_the_gradient_of_jpeg_passes_the_rounding() -> None:
    pixels = smooth(1).clamp(60, 190).requires_grad_()
    weights = torch.randn(pixels.shape, generator=generator(), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((one("jpeg", pixels, [1 - 1e-4, 0, 0]) * weights).sum(), pixels)
    torch.testing.assert_close(gradient, weights)


def test_bands_remove_the_frequencies_of_some_diagonals() -> None:
    pixels = smooth(1, 8, 8)
    u = [(3 + 0.5) / 14, (1 + 0.5) / 5, 0.0]  # diagonals 4 and 5
    found = one("bands", pixels, u)
    for image, mine in zip(pixels[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        coefficients: Any = dctn(image, norm="ortho")
        for row in range(8):
            for column in range(8):
                if row + column in (4, 5):
                    coefficients[row, column] = 0
        np.testing.assert_allclose(mine, np.clip(idctn(coefficients, norm="ortho"), 0, 255), atol=1e-9)


def test_bands_never_touch_the_mean() -> None:
    flat = torch.full((200, 1, 8, 8), 77.0)
    torch.testing.assert_close(draw(["bands"], flat, generator())(flat), flat)


def test_gray_is_the_luma_and_jitter_a_factor() -> None:
    pixels = smooth(3)
    grey = one("gray", pixels, [0.0, 0.0, 0.0])
    expected = 0.299 * pixels[:, 0] + 0.587 * pixels[:, 1] + 0.114 * pixels[:, 2]
    torch.testing.assert_close(grey, torch.stack([expected] * 3, 1))
    torch.testing.assert_close(one("jitter", pixels, [0.5, 0.5, 0.5]), pixels)  # factors of 1
    torch.testing.assert_close(one("jitter", pixels, [0.0, 0.5, 0.5]), 0.6 * pixels)
    assert one("jitter", pixels, [0.5, 0.0, 0.5]).std() < 0.7 * pixels.std()
    pale = one("jitter", pixels, [0.5, 0.5, 0.0])
    torch.testing.assert_close(pale - grey, 0.6 * (pixels - grey))


def test_blur_is_a_binomial_filter() -> None:
    point = torch.zeros(1, 3, 7, 7, dtype=torch.float64)
    point[:, :, 3, 3] = 160
    taps = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64)
    assert torch.equal(one("blur", point, [0.0] * 3)[0, 1, 2:5, 2:5], 10 * taps[:, None] * taps)


def test_each_image_draws_one_of_the_list_whatever_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_draws, "BLOCK", 4)
    pixels = torch.randint(0, 256, (11, 3, 8, 8), generator=generator()).float()
    names = ["none", "gray", "jpeg", "resized-crop", "bands"]

    def of(start: int, stop: int) -> Tensor:
        part = pixels[start:stop]
        return draw(names, part, block_draws.of_rows(start, stop, 0, "noise", CPU))(part)

    whole = of(0, 11)
    torch.testing.assert_close(torch.cat([of(0, 3), of(3, 9), of(9, 11)]), whole)
    unchanged = (whole == pixels).flatten(1).all(1)
    assert 0 < unchanged.sum() < 11
    many = torch.rand(2000, 3, 8, 8) * 255
    same = (draw(["none", "gray"], many, generator())(many) == many).flatten(1).all(1).double().mean()
    assert 0.45 < same < 0.55


def test_there_is_no_distortion_whose_draw_is_not_used() -> None:
    for name in ("jitter", "jpeg", "bands"):
        pixels = smooth(3)
        low, high = (one(name, pixels, [u, u, u]) for u in (0.05, 0.95))
        assert not torch.allclose(low, high), name
    assert distortions.QUALITIES == (10, 90)
