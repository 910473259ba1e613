"""Rule perturbed: the published dataset, as Parquet and as NumPy shards."""

from pathlib import Path

from unlearnable.jobs.job import folder, job
from unlearnable.stages.perturbed_dataset import publish


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        publish(
            snakemake.params.cfg,
            source=folder(inp.dataset),
            noise=folder(inp.noise) if inp.noise else None,
            parquet=Path(out.parquet),
            arrays=Path(out.shards),
            manifest=Path(out.manifest),
            metrics=Path(out.metrics),
            threads=snakemake.threads,
        )


if __name__ == "__main__":
    main(snakemake)
