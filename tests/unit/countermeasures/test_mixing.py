"""Counter-measures that draw anew at every step: cutout, mixup, CutMix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from unlearnable import registry
from unlearnable.datasets.split import Split
from unlearnable.errors import UserError

Batch = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]
SIZE, CLASSES = 12, 40


def batch_of(kind: str, **keys: Any) -> Batch:
    train = Split(np.zeros((4, SIZE, SIZE, 3), np.uint8), np.arange(4), [str(k) for k in range(CLASSES)])
    settings = registry.validated("countermeasures", {"kind": kind, **keys})
    batch = registry.load_module("countermeasures", kind).build(settings, train, CLASSES, 0).batch
    assert batch is not None
    found: Batch = batch
    return found


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distinct(rows: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Flat images, each of its own level and class."""
    levels = torch.arange(rows).float() * 3 + 1
    return levels.view(-1, 1, 1, 1).expand(rows, 3, SIZE, SIZE).contiguous(), torch.arange(rows)


@pytest.mark.parametrize("kind", ["cutout", "mixup", "cutmix"])
def test_the_generator_alone_decides_and_every_step_is_fresh(kind: str) -> None:
    batch, (x, y) = batch_of(kind, **({"size": 6} if kind == "cutout" else {})), distinct()
    before = x.clone()
    generator = seeded(0)
    first, second = batch(x, y, generator), batch(x, y, generator)
    again = batch_of(kind, **({"size": 6} if kind == "cutout" else {}))(x, y, seeded(0))
    assert torch.equal(x, before)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("size", [1, 5, 6, SIZE])
def test_cutout_covers_exactly_a_square_that_is_cut_off_at_the_border(size: int) -> None:
    x = torch.zeros(300, 3, SIZE, SIZE)
    out, targets = batch_of("cutout", size=size)(x, torch.arange(300), seeded(0))
    assert torch.equal(targets, torch.arange(300))
    assert set(out.flatten().tolist()) <= {0.0, 127.5}
    covered = out == 127.5
    assert (covered == covered[:, :1]).all()
    places = set()
    for mask in covered[:, 0]:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        assert mask.sum() == len(rows) * len(columns)
        for line in (rows, columns):
            assert len(line) == line[-1] - line[0] + 1
            assert len(line) == size or line[0] == 0 or line[-1] == SIZE - 1
            assert size / 2 - 0.5 <= len(line) <= size
        places.add((int(rows[0]), int(columns[0]), len(rows), len(columns)))
    assert len(places) > 90  # of 144 centres in 300 draws


def test_the_centre_of_a_cutout_is_uniform_over_the_image() -> None:
    rows = 20_000
    out, _ = batch_of("cutout", size=1)(torch.zeros(rows, 1, SIZE, SIZE), torch.zeros(rows).long(), seeded(0))
    counts = (out != 0).float().sum((0, 1))
    expected = rows / SIZE**2
    assert counts.sum() == rows
    assert (counts - expected).abs().max() < 5 * expected**0.5


def test_what_cutout_covers_is_zero_to_the_network() -> None:
    from unlearnable.networks.folding import PixelNetwork

    out, _ = batch_of("cutout", size=1)(torch.full((1, 1, SIZE, SIZE), 255.0), torch.zeros(1).long(), seeded(0))
    assert PixelNetwork(torch.nn.Identity())(out).eq(0).sum() == 1


def test_a_square_larger_than_the_image_is_refused() -> None:
    with pytest.raises(UserError, match="cutout: size 13 exceeds the images' 12 pixels"):
        batch_of("cutout", size=13)


def test_mixup_mixes_pixels_and_labels_by_one_share_a_batch() -> None:
    x, y = distinct()
    for seed in range(20):
        out, targets = batch_of("mixup")(x, y, seeded(seed))
        torch.testing.assert_close(targets.sum(1), torch.ones(CLASSES))
        # labels and levels are one to one, so the targets say which levels were mixed, and how
        torch.testing.assert_close(out[:, 0, 0, 0], targets @ x[:, 0, 0, 0])
        assert (out == out[:, :1, :1, :1]).all()
        own = targets.diagonal()
        moved = own < 1 - 1e-6
        assert len(set(own[moved].tolist())) == 1
        assert ((targets > 0).sum(1) == torch.where(moved, 2, 1)).all()
        partners = (targets - torch.diag(own)).argmax(1)[moved]
        assert len(set(partners.tolist())) == int(moved.sum())


def test_cutmix_replaces_one_box_a_batch_and_weighs_labels_by_its_exact_area() -> None:
    x, y = distinct()
    boxes = set()
    for seed in range(40):
        out, targets = batch_of("cutmix")(x, y, seeded(seed))
        torch.testing.assert_close(targets.sum(1), torch.ones(CLASSES))
        foreign = out != x
        moved = foreign.flatten(1).any(1)
        assert (foreign[moved] == foreign[moved][:1, :1]).all()
        for row in range(CLASSES):
            shares = torch.zeros(CLASSES)
            for level in out[row, 0].flatten().tolist():
                shares[int(level) // 3] += 1 / SIZE**2
            torch.testing.assert_close(targets[row], shares)
        if moved.any():
            mask = foreign[moved][0, 0]
            rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
            assert mask.sum() == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
            boxes.add((int(rows[0]), int(columns[0]), len(rows), len(columns)))
    assert len(boxes) > 20


def test_the_area_of_a_whole_cutmix_box_is_what_lambda_leaves() -> None:
    x, y = torch.arange(2).float().view(2, 1, 1, 1).expand(2, 1, 11, 11), torch.arange(2)
    batch, generator = batch_of("cutmix", alpha=1e9), seeded(0)  # lambda is 1/2 at every draw
    widths = [int((batch(x, y, generator)[0][0, 0] != 0).any(0).sum()) for _ in range(200)]
    assert max(widths) == 7  # of 11 * sqrt(1/2) = 7.8


@pytest.mark.parametrize(("alpha", "spread"), [(1.0, 1 / 12), (8.0, 1 / 68)])
def test_the_share_of_mixup_has_the_variance_of_its_beta_distribution(alpha: float, spread: float) -> None:
    x, y = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1), torch.tensor([0, 1])
    batch, generator = batch_of("mixup", alpha=alpha), seeded(0)
    shares: list[float] = []
    while len(shares) < 500:
        _, targets = batch(x, y, generator)
        if targets[0, 0] < 1:
            shares.append(float(targets[0, 0]))
    assert abs(np.mean(shares) - 0.5) < 5 * (spread / 500) ** 0.5
    assert abs(np.var(shares) / spread - 1) < 0.25


def test_mixed_pixels_stay_in_their_range() -> None:
    x, y = torch.tensor([0.0, 255.0]).repeat(16).view(-1, 1, 1, 1).expand(-1, 1, SIZE, SIZE), torch.arange(32)
    for seed in range(50):
        out, _ = batch_of("mixup")(x, y, seeded(seed))
        assert out.min() >= 0
        assert out.max() <= 255
