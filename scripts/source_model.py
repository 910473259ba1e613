"""Rule source_model: train the network used to compute the noise."""

from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute_on_ranks
from unlearnable.jobs.ranks.launch import source_model
from unlearnable.stages.settings.source_model import SourceModelSettings


def main(snakemake):
    data, out = folder(snakemake.input.dataset), snakemake.output
    with job(snakemake) as made, compute_on_ranks(snakemake, snakemake.input.dataset) as (loop, device, ranks):
        settings = SourceModelSettings.model_validate(snakemake.params.recipe["settings"])
        outputs = (out.model, out.history, out.metrics)
        source_model(settings, data, loop, device, *outputs, ranks, snakemake.threads, made=made)


if __name__ == "__main__":
    main(snakemake)
