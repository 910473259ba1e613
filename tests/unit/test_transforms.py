"""The augmentation T and its adjoint."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from unlearnable.settings.dataset import Augmentation
from unlearnable.transforms import Transform, draw, join


@st.composite
def drawn(shapes: st.DrawFn) -> tuple[Tensor, Tensor, Transform]:
    """A batch, a batch of gradients (both whole numbers, so that sums are exact) and a transform of them."""
    batch = shapes(st.integers(1, 5))
    channels = shapes(st.sampled_from([1, 3]))
    height, width = shapes(st.integers(1, 9)), shapes(st.integers(1, 9))
    augmentation = Augmentation(flip=shapes(st.booleans()), crop_padding=shapes(st.integers(0, 5)))
    generator = torch.Generator().manual_seed(shapes(st.integers(0, 2**32)))
    images, gradients = torch.randint(
        -255, 256, (2, batch, channels, height, width), generator=generator, dtype=torch.float64
    )
    return images, gradients, draw(augmentation, batch, generator)


def slow(images: Tensor, t: Transform) -> Tensor:
    """The transform, image by image, in NumPy: flip, pad with zeros, slice."""
    out = []
    _, _, height, width = images.shape
    for b, image in enumerate(images.numpy()):
        if t.flipped is not None and bool(t.flipped[b]):
            image = image[:, :, ::-1]
        if t.rows is not None and t.columns is not None:
            padded = np.pad(image, ((0, 0), (t.padding, t.padding), (t.padding, t.padding)))
            top, left = int(t.rows[b]), int(t.columns[b])
            image = padded[:, top : top + height, left : left + width]
        out.append(image.copy())
    return torch.from_numpy(np.stack(out))


@given(drawn())
def test_each_image_is_flipped_then_cropped_from_the_zero_padded_image(
    example: tuple[Tensor, Tensor, Transform],
) -> None:
    images, _, t = example
    assert torch.equal(t(images), slow(images, t))


@given(drawn())
def test_pull_back_is_the_exact_adjoint(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, gradients, t = example
    assert (t(images) * gradients).sum() == (images * t.pull_back(gradients)).sum()


@given(drawn())
def test_pull_back_is_what_autograd_finds(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, gradients, t = example
    (found,) = torch.autograd.grad(t(images.requires_grad_()), images, gradients)
    assert torch.equal(found, t.pull_back(gradients))


@given(drawn())
def test_pull_back_inverts_the_transform_wherever_a_pixel_survives(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, _, t = example
    survives = t.pull_back(t(torch.ones_like(images)))
    assert ((survives == 0) | (survives == 1)).all()
    assert torch.equal(t.pull_back(t(images)), images * survives)
    p = t.padding
    interior = (..., slice(p, images.shape[2] - p), slice(p, images.shape[3] - p))
    assert torch.equal(t.pull_back(t(images))[interior], images[interior])


@given(drawn())
def test_the_border_is_black(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, _, t = example
    values = t(torch.full_like(images, 7))
    assert ((values == 7) | (values == 0)).all()


def test_no_augmentation_draws_nothing_and_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = torch.rand(3, 1, 4, 4)
    t = draw(Augmentation(), 3, generator)
    assert torch.equal(t(images), images)
    assert torch.equal(t.pull_back(images), images)
    assert torch.equal(generator.get_state(), before)


def test_every_image_has_its_own_flip_and_offsets() -> None:
    t = draw(Augmentation(flip=True, crop_padding=2), 20_000, torch.Generator().manual_seed(0))
    assert t.flipped is not None
    assert t.rows is not None
    assert t.columns is not None
    cells = torch.bincount((t.flipped * 5 + t.rows) * 5 + t.columns, minlength=50)
    assert len(cells) == 50
    assert (cells - 400).abs().max() < 5 * 400**0.5  # flip, row and column: uniform and independent
    for value in (t.flipped.int(), t.rows, t.columns):
        neighbours = torch.corrcoef(torch.stack([value[:-1], value[1:]]).float())[0, 1]
        assert abs(float(neighbours)) < 5 / 20_000**0.5


def test_every_draw_is_fresh() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (draw(Augmentation(flip=True, crop_padding=4), 64, generator) for _ in range(2))
    assert first.rows is not None
    assert second.rows is not None
    assert not torch.equal(first.rows, second.rows)


@given(
    augmentation=st.builds(Augmentation, flip=st.booleans(), crop_padding=st.integers(0, 3)), parts=st.integers(1, 4)
)
def test_a_joined_transform_is_its_parts_side_by_side(augmentation: Augmentation, parts: int) -> None:
    generator = torch.Generator().manual_seed(parts)
    transforms = [draw(augmentation, 3, generator) for _ in range(parts)]
    images = torch.rand(3, 2, 5, 4, generator=generator)
    joined = join(transforms)
    together = torch.cat([images] * parts)
    assert torch.equal(joined(together), torch.cat([t(images) for t in transforms]))
    assert torch.equal(joined.pull_back(together), torch.cat([t.pull_back(images) for t in transforms]))
