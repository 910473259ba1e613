"""What the perturbed_dataset stage is given."""

from __future__ import annotations

from unlearnable.datasets.settings import AnyDataset, ProtectedFiles
from unlearnable.settings import Slug
from unlearnable.stages.settings.noise import AnyBound, NoiseSettings
from unlearnable.stages.settings.source_model import SourceModelSettings


class PerturbedDatasetSettings(ProtectedFiles):
    """One protected dataset, and for its manifest how its noise was made.

    Attributes:
        method: name of the noise method; ``clean`` for images without noise.
        protected: per cent of the images that carry noise; of clean images, that are left out.
        seed: which images those are.
        bound: of the change of every image.
        dataset: the clean images.
        noise: what the noise was made with; None for clean images.
        source_model: what its source model was trained with; None for a noise without one.
    """

    method: Slug
    protected: int
    seed: int
    bound: AnyBound
    dataset: AnyDataset
    noise: NoiseSettings | None
    source_model: SourceModelSettings | None
