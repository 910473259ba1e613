"""Rule perturbed_dataset: the protected dataset, as Parquet and as NumPy shards."""

from pathlib import Path

from unlearnable.jobs.job import folder, job
from unlearnable.stages.perturbed_dataset import publish
from unlearnable.stages.settings.perturbed_dataset import PerturbedDatasetSettings


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake) as made:
        publish(
            PerturbedDatasetSettings.model_validate(snakemake.params.recipe["settings"]),
            source=folder(inp.dataset),
            noise=folder(inp.noise) if inp.noise else None,
            parquet=Path(out.parquet),
            arrays=Path(out.shards),
            manifest=Path(out.manifest),
            metrics=Path(out.metrics),
            threads=snakemake.threads,
            made=made,
        )


if __name__ == "__main__":
    main(snakemake)
