"""The table of what every stage cost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from unlearnable.products.benchmark_files import MEMORY, SECONDS, usage
from unlearnable.products.frames import frame, records
from unlearnable.products.reported import GenerationTime, Published
from unlearnable.products.settings import Table
from unlearnable.products.table import join_sentences, number, plain_number, write

STAGES = ("source model", "noise", "perturbed dataset", "victim")
SUMS = ("passes", "seconds", SECONDS)
GENERATION = "source model and noise"


def cost_table(
    config: dict[str, Any],
    metrics: dict[str, tuple[list[dict[str, Any]], list[str]]],
    csv: str,
    markdown: str,
    latex: str,
) -> None:
    """What each stage cost: passes, seconds, memory, as means over seeds; noises beside their published times.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them; its cells named ``source of noise`` are
            the source model of each cell of the noise stage, in the same order, or None. ``measured`` names for every
            stage and cell, in the same order, what Snakemake measured of the jobs that computed it.
        metrics: for every stage its cells and their metrics files, in the same order.
        csv: file to write.
        markdown: file to write.
        latex: file to write.
    """
    style = Table(**config["style"])
    data = {stage: _with_usage(frame(*metrics[stage]), config["measured"][stage]) for stage in STAGES}
    rows: list[dict[str, Any]] = []
    for stage in STAGES:
        rows += _costs(stage, data[stage])
        if stage == "noise":
            rows += _generation(config, data["source model"], data["noise"])
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
        sources = "; ".join(table["published_source"].dropna().unique())
        about_published = (
            f"Beside the sums of {GENERATION} (TAP's source model is the clean training): published hours, read in "
            f"{sources}. Other hardware and other code: an order of magnitude, not a comparison."
        )
    if text["dataset"].nunique() == 1:
        text = text.drop(columns="dataset")
    devices = ", ".join(table["device"].dropna().unique())
    caption = join_sentences(
        "Cost of each stage: forward+backward passes over one batch, seconds in the stage's loop as mean ± standard "
        "deviation (number of runs), and peak memory. Then what Snakemake measured of each job's last attempt from "
        "outside: its seconds, the start of Python and waiting for a GPU included, of a noise those of all its shards; "
        f"and the memory of its processes on the host, sampled, so at least that. Computed on: {devices}.",
        about_published,
    )
    write(table, text, csv, markdown, latex, caption)


def _with_usage(data: pd.DataFrame, jobs: list[list[str]]) -> pd.DataFrame:
    used = zip(records(data), jobs, strict=True)
    return pd.DataFrame([cell | usage(paths) for cell, paths in used])


def _costs(stage: str, data: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for every dataset, noise and way of training."""
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


def _generation(config: dict[str, Any], sources: pd.DataFrame, noises: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for every noise whose generation time is published: source model and noise together."""
    published = Published(config["methods"], config["countermeasures"])
    axes = ["dataset", "method", "rho_u", "rho_a", "seed"]
    by_cell = {tuple(row[axis] for axis in axes): row for row in records(sources)}
    runs: list[dict[str, Any]] = []
    times: dict[tuple[str, str], GenerationTime] = {}
    cells = config["cells"]
    for cell, source, noise in zip(cells["noise"], cells["source of noise"], records(noises), strict=True):
        parts = [noise] if source is None else [by_cell[tuple(source[axis] for axis in axes)], noise]
        run = {key: noise[key] for key in ("dataset", "label", "device")}
        run |= {key: sum(part[key] for part in parts) for key in SUMS}
        time = published.generation_time(cell, run["passes"])
        if time is not None:
            times[cell["dataset"], noise["label"]] = time
            runs.append(run | {key: np.max([part[key] for part in parts]) for key in ("peak_memory_bytes", MEMORY)})
    rows = _costs(GENERATION, pd.DataFrame(runs))
    for row in rows:
        time = times[row["dataset"], row["noise"]]
        row |= {"published_hours": time.hours, "published_hardware": time.hardware, "published_source": time.source}
    return rows
