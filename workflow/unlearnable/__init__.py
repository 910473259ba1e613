"""Robust unlearnable examples: source models, noises, protected datasets and victims.

Contents, top to bottom; imports point downward only::

    tools             what people and the Snakefile call: plan, watch, verify, the start of a session
    jobs              how a job runs under Snakemake: logs, GPUs, checkpoints, signals, ranks
    study             a configuration, checked: its cells, the settings of their stages, code fingerprints
    stages            what each rule that computes calls: dataset, source model, noise, protected dataset, victim
    products          tables and figures, one folder each
    noises            noise methods, one folder each
    training          the training loop, and what is measured on a trained network
    countermeasures   what a trainer may do against noise, one folder each
    compute           devices, memory, gradients through frozen networks, augmentation
    datasets          readers, one folder each, and how datasets are stored
    networks          architectures, one file each, and how networks are built
    arrays, files     files that are either complete or absent
    registry, settings, progress, randomness
    bounds, errors

Only ``tools``, ``jobs`` and ``study`` know about Snakemake, locks and signals. Pixels are floats or ``uint8`` in
0..255, so every L-infinity radius in this package is a number of grey levels, that is, in units of 1/255.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unlearnable.owners.notebook import load_release as load_release
    from unlearnable.owners.notebook import protect as protect

__all__ = ["load_release", "protect"]


def __getattr__(name: str) -> Any:
    """The functions for programs and notebooks, imported when they are first used, as they import torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.owners.notebook"), name)
