"""The table of the cost of every stage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from unlearnable.products.benchmark_files import MEMORY, SECONDS, usage
from unlearnable.products.cost_table.settings import CostTable
from unlearnable.products.frames import by_noise_seed, frame, records
from unlearnable.products.product import Given, Inputs, NoiseCell, TableFiles
from unlearnable.products.reported import GenerationTime, Published
from unlearnable.products.table import join_sentences, number, plain_number, save_table

SUMS = ("passes", "seconds", SECONDS)
GENERATION = "source model and noise"


def write(given: Given[CostTable], inputs: Inputs, out: TableFiles) -> None:
    """The cost of each stage: passes, seconds, memory, as means over seeds; noises beside their published times.

    Args:
        given: the cells of all stages, and Snakemake's measurements of their jobs.
        inputs: the metrics of all of them.
        out: files to write.
    """
    style, jobs = given.style, given.measured
    sources = _with_usage(frame(given.sources, inputs.sources), jobs.sources)
    noises = _with_usage(frame(given.noises, inputs.noises), jobs.noises)
    rows = [
        *_costs("source model", sources),
        *_costs("noise", noises),
        *_generation(given, sources, noises),
        *_costs("perturbed dataset", _with_usage(frame(given.perturbed, inputs.perturbed), jobs.perturbed)),
        *_costs("victim", by_noise_seed(_with_usage(frame(given.victims, inputs.victims), jobs.victims))),
    ]
    table = pd.DataFrame(rows)
    text = pd.DataFrame(
        {
            "stage": table["stage"] + [f", {kind}" if kind else "" for kind in table["kind"]],
            "dataset": table["dataset"],
            "noise": table["noise"],
            "passes": ["" if math.isnan(value) else f"{value:,.0f}" for value in table["passes"]],
            "seconds": [
                number(mean, sd, n, style.decimals)
                for mean, sd, n in zip(table["seconds_mean"], table["seconds_sd"], table["n"], strict=True)
            ],
            "peak memory, MiB": [f"{value:,.0f}" for value in table["peak_memory_mib"]],
            "job, s": [plain_number(value, math.nan, style.decimals) for value in table[SECONDS]],
            "host memory, MiB": ["" if math.isnan(value) else f"{value:,.0f}" for value in table[MEMORY]],
        }
    )
    about_published = ""
    if "published_hours" in table:
        hours, published = table["seconds_mean"] / 3600, table["published_hours"]
        shown = published.notna()
        text["hours"] = [f"{value:.3g}" if there else "" for value, there in zip(hours, shown, strict=True)]
        text["published, hours"] = [
            f"{value:.3g}" if there else "" for value, there in zip(published, shown, strict=True)
        ]
        text["published, on"] = table["published_hardware"].fillna("")
        publications = "; ".join(table["published_source"].dropna().unique())
        about_published = (
            f"Beside the sums of {GENERATION} (TAP's source model is the clean training): published hours, read in "
            f"{publications}. Other hardware and other code: an order of magnitude, not a comparison."
        )
    if text["dataset"].nunique() == 1:
        text = text.drop(columns="dataset")
    devices = ", ".join(table["device"].dropna().unique())
    caption = join_sentences(
        "Cost of each stage: forward+backward passes over one batch, seconds in the stage's loop as mean ± standard "
        "deviation (number of seeds), and peak memory. Then what Snakemake measured of each job's last attempt from "
        "outside: its seconds, the start of Python and waiting for a GPU included, of a noise those of all its shards; "
        f"and the memory of its processes on the host, sampled, so at least that. Computed on: {devices}.",
        about_published,
    )
    save_table(out, table, text, caption)


def _with_usage(data: pd.DataFrame, jobs: Sequence[Sequence[str]]) -> pd.DataFrame:
    used = zip(records(data), jobs, strict=True)
    return pd.DataFrame([cell | usage(paths) for cell, paths in used])


def _costs(stage: str, data: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per dataset, noise and way of training."""
    if data.empty:
        return []
    kinds = [""] * len(data)
    if "radius" in data:
        named = [axis for axis in ("network", "countermeasure") if data[axis].nunique() > 1]
        kinds = [", ".join([*values[:-1], f"radius {values[-1]}"]) for values in data[[*named, "radius"]].to_numpy()]
    data = data.assign(kind=kinds).reindex(columns=data.columns.union(["kind", "passes", "device"], sort=False))
    groups = data.groupby(["dataset", "label", "kind"], sort=False)
    return [
        {
            "stage": stage,
            "dataset": dataset,
            "noise": noise,
            "kind": kind,
            "n": len(group),
            "passes": group["passes"].mean(),
            "seconds_mean": group["seconds"].mean(),
            "seconds_sd": group["seconds"].std(ddof=1),
            "peak_memory_mib": group["peak_memory_bytes"].mean() / 2**20,
            **{name: group[name].mean(skipna=False) for name in (SECONDS, MEMORY)},
            "device": group["device"].iloc[0],
        }
        for (dataset, noise, kind), group in groups
    ]


def _generation(given: Given[CostTable], sources: pd.DataFrame, noises: pd.DataFrame) -> list[dict[str, Any]]:
    """One row per noise with a published generation time, for source model and noise together."""
    published = Published(given.methods, given.countermeasures)
    by_cell: dict[NoiseCell, dict[str, Any]] = dict(zip(given.sources, records(sources), strict=True))
    runs: list[dict[str, Any]] = []
    times: dict[tuple[str, str], GenerationTime] = {}
    for cell, source, noise in zip(given.noises, given.source_of_noise, records(noises), strict=True):
        parts = [noise] if source is None else [by_cell[source], noise]
        run = {key: noise[key] for key in ("dataset", "label", "device")}
        run |= {key: sum(part[key] for part in parts) for key in SUMS}
        time = published.generation_time(cell, run["passes"])
        if time is not None:
            times[cell.dataset, noise["label"]] = time
            runs.append(run | {key: np.max([part[key] for part in parts]) for key in ("peak_memory_bytes", MEMORY)})
    rows = _costs(GENERATION, pd.DataFrame(runs))
    for row in rows:
        time = times[row["dataset"], row["noise"]]
        row |= {"published_hours": time.hours, "published_hardware": time.hardware, "published_source": time.source}
    return rows
