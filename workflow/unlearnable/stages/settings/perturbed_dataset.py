"""Settings of the perturbed_dataset stage."""

from __future__ import annotations

from unlearnable.datasets.settings import AnyDataset, ProtectedFiles
from unlearnable.settings import Slug
from unlearnable.stages.settings.noise import AnyBound, NoiseSettings
from unlearnable.stages.settings.source_model import SourceModelSettings


class PerturbedDatasetSettings(ProtectedFiles):
    """One protected dataset and, for its manifest, the settings of its noise.

    Attributes:
        method: name of the noise method; ``clean`` for images without noise.
        protected: percentage of images that carry noise; of clean images, those left out.
        seed: of the choice of these images.
        bound: of the change of every image.
        dataset: the clean images.
        noise: settings of the noise; None for clean images.
        source_model: settings of its source model; None if the noise has none.
    """

    method: Slug
    protected: int
    seed: int
    bound: AnyBound
    dataset: AnyDataset
    noise: NoiseSettings | None
    source_model: SourceModelSettings | None
