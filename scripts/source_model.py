"""Rule source_model: train the network that the noise is computed with."""

from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute_on_ranks
from unlearnable.jobs.ranks.launch import source_model


def main(snakemake):
    data, cfg, out = folder(snakemake.input.dataset), snakemake.params.cfg, snakemake.output
    with job(snakemake), compute_on_ranks(snakemake, snakemake.input.dataset) as (loop, device, ranks):
        source_model(cfg, data, loop, device, out.model, out.history, out.metrics, ranks, snakemake.threads)


if __name__ == "__main__":
    main(snakemake)
