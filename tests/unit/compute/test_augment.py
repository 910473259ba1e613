"""The augmentation T and its adjoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from unlearnable.compute import draws
from unlearnable.compute.augment import Resizing, Transform, concatenated, draw, evaluation, transformed
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.errors import UserError


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
    return images, gradients, draw(augmentation, images, generator)


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
    t = draw(Augmentation(), images, generator)
    assert torch.equal(t(images), images)
    assert torch.equal(t.pull_back(images), images)
    assert torch.equal(generator.get_state(), before)


def test_every_image_has_its_own_flip_and_offsets() -> None:
    t = draw(Augmentation(flip=True, crop_padding=2), torch.zeros(20_000, 1, 1, 1), torch.Generator().manual_seed(0))
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
    images = torch.zeros(64, 1, 1, 1)
    first, second = (draw(Augmentation(flip=True, crop_padding=4), images, generator) for _ in range(2))
    assert first.rows is not None
    assert second.rows is not None
    assert not torch.equal(first.rows, second.rows)


@given(
    augmentation=st.builds(Augmentation, flip=st.booleans(), crop_padding=st.integers(0, 3))
    | st.builds(Augmentation, flip=st.booleans(), resized_crop=st.integers(8, 10)),
    parts=st.integers(1, 4),
)
def test_a_joined_transform_is_its_parts_side_by_side(augmentation: Augmentation, parts: int) -> None:
    generator = torch.Generator().manual_seed(parts)
    images = torch.rand(3, 2, 12, 11, generator=generator)
    transforms = [draw(augmentation, images, generator) for _ in range(parts)]
    joined = concatenated(transforms)
    apart = [t(images) for t in transforms]
    together = joined(torch.cat([images] * parts))
    assert torch.equal(together, torch.cat(apart))
    pulled = [t.pull_back(z) for t, z in zip(transforms, apart, strict=True)]
    assert torch.equal(joined.pull_back(together), torch.cat(pulled))


# ---- resized crops


@st.composite
def resized(shapes: st.DrawFn) -> tuple[Tensor, Tensor, Transform]:
    """A batch, a batch of gradients by its transformed images, and a transform with a resized crop."""
    batch, channels = shapes(st.integers(1, 4)), shapes(st.sampled_from([1, 3]))
    height, width, size = (shapes(st.integers(8, 20)) for _ in range(3))
    augmentation = Augmentation(flip=shapes(st.booleans()), resized_crop=size)
    generator = torch.Generator().manual_seed(shapes(st.integers(0, 2**32)))
    images = 255 * torch.rand(batch, channels, height, width, generator=generator, dtype=torch.float64)
    gradients = torch.randn(batch, channels, size, size, generator=generator, dtype=torch.float64)
    return images, gradients, draw(augmentation, images, generator)


@given(resized())
def test_each_box_is_resized_bilinearly_and_then_flipped(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, gradients, t = example
    assert t.resizing is not None
    expected = []
    for b, (top, left, height, width) in enumerate(t.resizing.boxes.tolist()):
        box = images[b : b + 1, :, top : top + height, left : left + width]
        out = F.interpolate(box, gradients.shape[2:], mode="bilinear", align_corners=False, antialias=False)
        expected.append(out.flip(3) if t.flipped is not None and bool(t.flipped[b]) else out)
    torch.testing.assert_close(t(images), torch.cat(expected), rtol=0, atol=1e-10)
    assert t(images).shape == gradients.shape


@given(resized())
def test_the_pull_back_of_a_resized_crop_is_its_adjoint(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, gradients, t = example
    there, back = (t(images) * gradients).sum(), (images * t.pull_back(gradients)).sum()
    torch.testing.assert_close(there, back, rtol=1e-10, atol=1e-8)
    (found,) = torch.autograd.grad(t(images.requires_grad_()), images, gradients)
    torch.testing.assert_close(found, t.pull_back(gradients), rtol=1e-12, atol=1e-12)


@given(resized())
def test_a_resized_crop_keeps_a_plain_colour(example: tuple[Tensor, Tensor, Transform]) -> None:
    images, _, t = example
    torch.testing.assert_close(t(torch.full_like(images, 200)), torch.full((1,), 200.0).double().expand_as(t(images)))


def test_the_whole_image_at_its_own_size_is_the_image() -> None:
    images = torch.rand(2, 3, 9, 9)
    t = Transform(resizing=Resizing(torch.tensor([[0, 0, 9, 9]] * 2), (9, 9), 9))
    assert torch.equal(t(images), images)
    assert torch.equal(t.pull_back(images), images)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 60), (90, 30)])
def test_boxes_are_drawn_as_torchvision_draws_them(height: int, width: int) -> None:
    count = 4000
    images = torch.zeros(1).expand(count, 1, height, width)
    t = draw(Augmentation(resized_crop=32), images, torch.Generator().manual_seed(0))
    assert t.resizing is not None
    found = t.resizing.boxes.double()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = [RandomResizedCrop.get_params(images[0], (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(count)]
    expected = torch.tensor(theirs, dtype=torch.float64)
    for moment in (lambda x: x, torch.square, lambda x: x.prod(1, keepdim=True), lambda x: x[:, 2:].log().diff()):
        a, b = moment(found), moment(expected)
        error = ((a.var(0) + b.var(0)) / count).sqrt()
        assert ((a.mean(0) - b.mean(0)).abs() <= 4 * error).all()
    top, left, tall, wide = found.unbind(1)
    assert min(top.min(), left.min()) >= 0
    assert (top + tall).max() <= height
    assert (left + wide).max() <= width


@pytest.mark.parametrize(("height", "width"), [(8, 400), (400, 8)])
def test_where_no_box_fits_the_largest_one_at_the_centre_is_taken(height: int, width: int) -> None:
    images = torch.zeros(50, 1, height, width)
    t = draw(Augmentation(resized_crop=8), images, torch.Generator().manual_seed(0))
    assert t.resizing is not None
    theirs = RandomResizedCrop.get_params(images[0], (0.08, 1.0), (3 / 4, 4 / 3))
    assert theirs[2:] == ((8, 11) if width == 400 else (11, 8))
    assert torch.equal(t.resizing.boxes, torch.tensor([theirs]).expand(50, 4))


def test_a_box_depends_on_the_images_place_and_not_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draws, "BLOCK", 5)

    def boxes(start: int, stop: int) -> Tensor:
        source = draws.of_rows(start, stop, 0, "noise", torch.device("cpu"))
        t = draw(Augmentation(flip=True, resized_crop=8), torch.zeros(stop - start, 1, 16, 16), source)
        assert t.resizing is not None
        return t.resizing.boxes

    assert torch.equal(torch.cat([boxes(0, 4), boxes(4, 12)]), boxes(0, 12))


def test_test_images_are_cropped_at_their_centre_to_the_size_that_is_trained_on() -> None:
    images = torch.arange(2 * 12 * 12).view(2, 1, 12, 12)
    assert torch.equal(evaluation(Augmentation(resized_crop=8))(images), images[:, :, 2:10, 2:10])
    assert torch.equal(evaluation(Augmentation(flip=True, crop_padding=4))(images), images)
    assert transformed(Augmentation(resized_crop=8), (3, 12, 12)) == (3, 8, 8)
    assert transformed(Augmentation(crop_padding=2), (3, 12, 12)) == (3, 12, 12)


def test_a_crop_that_is_larger_than_the_images_is_refused() -> None:
    with pytest.raises(UserError, match=r"resized_crop is 224, but images are 32x32 pixels; lower resized_crop"):
        transformed(Augmentation(resized_crop=224), (3, 32, 32))


def test_two_ways_to_crop_are_refused() -> None:
    with pytest.raises(ValidationError, match="two ways to crop; remove one of the two"):
        Augmentation(crop_padding=4, resized_crop=224)
