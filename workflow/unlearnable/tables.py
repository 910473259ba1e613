"""Tables as CSV (numbers), Markdown and LaTeX (text)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from unlearnable import files
from unlearnable.results import frame, mean_and_sd
from unlearnable.settings.render import Table

ROW_AXES = {"dataset": "dataset", "network": "network", "protected": "protected, %", "radius": "victim's radius, 1/255"}
STAGES = ("source model", "noise", "perturbed dataset", "victim")


def number(mean: float, sd: float, n: int, decimals: int) -> str:
    """``mean ± sd (n)``; without sd where there is a single run."""
    spread = "" if math.isnan(sd) else f" ± {sd:.{decimals}f}"
    return f"{mean:.{decimals}f}{spread} ({n})"


def write(table: pd.DataFrame, text: pd.DataFrame, csv: str, markdown: str, latex: str, caption: str) -> None:
    """Write the numbers as CSV and their text as Markdown and LaTeX (booktabs).

    Args:
        table: the numbers, one row for every cell of the text.
        text: what a reader sees.
        csv: file for the numbers.
        markdown: file for the text.
        latex: file for the text.
        caption: what the table shows.
    """
    body = text.to_markdown(index=False, disable_numparse=True)
    tex = text.map(_latex).rename(columns=_latex).to_latex(index=False, escape=False, caption=_latex(caption))
    for path, content in ((csv, table.to_csv(index=False)), (markdown, f"{caption}\n\n{body}\n"), (latex, tex)):
        with files.atomic(Path(path)) as file:
            file.write(content.encode())


def _latex(text: object) -> str:
    special = {"%": r"\%", "_": r"\_", "&": r"\&", "#": r"\#", "±": r"$\pm$", "·": r"$\cdot$"}
    return "".join(special.get(character, character) for character in str(text))


def radius_table(config: dict[str, Any], metrics: list[str], csv: str, markdown: str, latex: str) -> None:
    """Clean-test accuracy of the victims: a row for every radius, a column for every noise (Fu et al. 2022, Table 1).

    Args:
        config: the product's settings, as ``Study.product_config`` gives them, with the victims' cells.
        metrics: the victims' metrics, in the order of the cells.
        csv: file to write: mean, sd, n of the last and of the best accuracy, of train and robust accuracy.
        markdown: file to write: last accuracy, in per cent.
        latex: file to write: the same.
    """
    style = Table(**config["style"])
    data = frame(config["cells"], metrics)
    data["protected"] = data["protected"].where(data["method"] != "clean", data["protected"].max())
    measured = ["test_accuracy", "best_test_accuracy", "train_accuracy", "robust_accuracy"]
    axes = list(ROW_AXES)
    rows = []
    for key, group in data.groupby([*axes, "label"], sort=False):
        row = dict(zip([*axes, "noise"], key, strict=True))
        for name in measured:
            mean, sd, n = mean_and_sd(100 * group[name])
            row |= {f"{name}_mean": mean, f"{name}_sd": sd, "n": n}
        rows.append(row)
    table = pd.DataFrame(rows)
    shown = table.assign(
        text=[
            number(mean, sd, n, style.decimals)
            for mean, sd, n in zip(table["test_accuracy_mean"], table["test_accuracy_sd"], table["n"], strict=True)
        ]
    )
    text = shown.pivot(index=axes, columns="noise", values="text")
    text = text[list(dict.fromkeys(data["label"]))].fillna("").reset_index()
    varying = [axis for axis in axes if axis == "radius" or text[axis].nunique() > 1]
    fixed = [f"{ROW_AXES[axis]}: {text[axis].iloc[0]}" for axis in axes if axis not in varying]
    text = text.drop(columns=[axis for axis in axes if axis not in varying])
    text = text.rename(columns=ROW_AXES).rename_axis(columns=None)
    caption = (
        "Clean-test accuracy in per cent at the last step, mean ± standard deviation (number of seeds). "
        f"Columns: the noise in the training images, rho_u-rho_a in 1/255. {'; '.join(fixed)}."
    )
    write(table, text, csv, markdown, latex, caption)


def cost_table(
    config: dict[str, Any],
    metrics: dict[str, tuple[list[dict[str, Any]], list[str]]],
    csv: str,
    markdown: str,
    latex: str,
) -> None:
    """What each stage cost: passes, seconds, memory, as means over seeds.

    Args:
        config: the product's settings, as ``Study.product_config`` gives them.
        metrics: for every stage its cells and their metrics files, in the same order.
        csv: file to write.
        markdown: file to write.
        latex: file to write.
    """
    style = Table(**config["style"])
    rows = []
    for stage in STAGES:
        data = frame(*metrics[stage])
        if data.empty:
            continue
        data["kind"] = "" if "radius" not in data else [f"radius {radius}" for radius in data["radius"]]
        data = data.reindex(columns=data.columns.union(["passes", "device"]))
        for (dataset, noise, kind), group in data.groupby(["dataset", "label", "kind"], sort=False):
            rows.append(
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
                    "device": group["device"].iloc[0],
                }
            )
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
        }
    )
    if text["dataset"].nunique() == 1:
        text = text.drop(columns="dataset")
    devices = ", ".join(table["device"].dropna().unique())
    caption = (
        "Cost of each stage: forward+backward passes over one batch, seconds in the stage's loop as mean ± standard "
        f"deviation (number of runs), and peak memory. Computed on: {devices}."
    )
    write(table, text, csv, markdown, latex, caption)
