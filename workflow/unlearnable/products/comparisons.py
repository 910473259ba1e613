"""The noises of an experiment compared with its references, pair by pair."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from unlearnable.products.frames import CLEAN, CLEAN_REST, frame, grouped, mean_and_sd, with_clean_at_every_share
from unlearnable.products.product import Comparisons, Given, Inputs, Style
from unlearnable.products.settings import NamedNoise
from unlearnable.products.statistics import equivalence_p, holm, mean_interval, sign_flip_p

AXES = ["dataset", "network", "protected", "countermeasure", "radius"]
PAIR = ["seed", "victim_seed"]
MARGIN = 3  # points: differences within it count as none in the tests of equivalence
NEAR_CHANCE = 5  # points: closer than this to chance, clean images are not learned, and no protection is measured


def compare(given: Given[Style], inputs: Inputs) -> pd.DataFrame:
    """The comparisons of the victims' clean-test accuracies at the last step; see ``compared``.

    Args:
        given: the victims, their references and the primary comparison.
        inputs: the victims' metrics.
    """
    return compared(frame(given.victims, inputs.victims), given.comparisons, given.classes)


def compared(data: pd.DataFrame, comparisons: Comparisons, classes: dict[str, int]) -> pd.DataFrame:
    """One row for each noise, way of training and reference.

    Victims of the same victim seed share their initial weights and the order of their images, so they are pairs: with
    those of another noise of the same noise seed, or with those of clean images. Two victims of one noise are not two
    replicates: all differences are first averaged over the victims of each noise seed.

    Args:
        data: one row for each victim: its axes, ``label``, ``seed`` (of the noise), ``victim_seed``, and
            ``test_accuracy`` (0..1). Each victim of clean images is there once, with ``seed`` its own.
        comparisons: the references, of which no two are compared twice, and the primary comparison.
        classes: the number of classes, by dataset.

    Returns:
        Columns: the axes, noise, reference; in per cent ``accuracy_mean``, ``accuracy_sd``, ``accuracy_n``, and
        likewise ``reference_``; in points ``difference``, ``low`` and ``high`` (95 % t interval) of ``n`` noise seeds;
        ``p`` of the exact sign-flip test; ``p_holm``, adjusted for all comparisons but the primary, for which it is
        nan; ``p_equal`` of equivalence within ``MARGIN``; ``protection`` in per cent, nan near chance or without clean
        images; ``primary``.
    """
    data = with_clean_at_every_share(data)
    data["accuracy"] = 100 * data["test_accuracy"]
    labels = [_label(data, noise) for noise in comparisons.references]
    rows: list[dict[str, Any]] = []
    for key, group in grouped(data, AXES):
        of_way = dict(zip(AXES, key, strict=True))
        of_noise = {name: its.set_index(PAIR)["accuracy"] for (name,), its in grouped(group, ["label"])}
        for noise, accuracy in of_noise.items():
            if noise == CLEAN:
                continue
            protection = _protection(accuracy, of_noise.get(CLEAN), classes[of_way["dataset"]])
            for place, reference in enumerate(labels):
                if reference in of_noise and noise not in labels[: place + 1]:
                    row = of_way | {"noise": noise, "reference": reference}
                    rows.append(
                        row | _paired(accuracy, of_noise[reference], reference == CLEAN) | {"protection": protection}
                    )
    table = pd.DataFrame(rows)
    table["primary"] = _is_primary(data, table, comparisons)
    table["p_holm"] = math.nan
    others = ~table["primary"]
    table.loc[others, "p_holm"] = holm(table.loc[others, "p"].to_numpy(float))
    return table


def _label(data: pd.DataFrame, noise: NamedNoise) -> str:
    """The label of a noise; the clean rest of a protected dataset is not the clean reference."""
    same = (data["method"] == noise.method) & (data["rho_u"] == noise.rho_u) & (data["rho_a"] == noise.rho_a)
    return str(data.loc[same & (data["label"] != CLEAN_REST), "label"].iloc[0])


def _by_seed(accuracy: pd.Series[float]) -> pd.Series[float]:
    return accuracy.groupby(level="seed").mean()


def _paired(accuracy: pd.Series[float], reference: pd.Series[float], clean: bool) -> dict[str, Any]:
    """The columns of a comparison with a reference, which is of the same noise seed unless it is clean."""
    row: dict[str, Any] = {}
    for name, values in (("accuracy", accuracy), ("reference", reference)):
        mean, sd, n = mean_and_sd(_by_seed(values))
        row |= {f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_n": n}
    if clean:
        own = reference.droplevel("seed").reindex(accuracy.index.get_level_values("victim_seed"))
        reference = pd.Series(own.to_numpy(), accuracy.index)
    differences = np.asarray(_by_seed(accuracy - reference), np.float64)
    mean, low, high = mean_interval(differences)
    return row | {
        **{"difference": mean, "low": low, "high": high, "n": len(differences)},
        **{"p": sign_flip_p(differences), "p_equal": equivalence_p(differences, MARGIN)},
    }


def _protection(accuracy: pd.Series[float], clean: pd.Series[float] | None, classes: int) -> float:
    """The share of what clean images teach beyond chance that the noise takes away, in per cent."""
    if clean is None:
        return math.nan
    chance = 100 / classes
    of_clean = float(_by_seed(clean).mean())
    if of_clean - chance <= NEAR_CHANCE:
        return math.nan
    return 100 * (of_clean - float(_by_seed(accuracy).mean())) / (of_clean - chance)


def _is_primary(data: pd.DataFrame, table: pd.DataFrame, comparisons: Comparisons) -> pd.Series[bool]:
    primary = comparisons.primary
    if primary is None:
        return pd.Series(False, table.index)
    wanted = {axis: getattr(primary, axis) for axis in AXES}
    wanted |= {"noise": _label(data, primary.noise), "reference": _label(data, primary.reference)}
    return (table[list(wanted)] == pd.Series(wanted)).all(axis=1)
