"""Rule source_model: train the network used to compute the noise."""

from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute_on_ranks
from unlearnable.jobs.ranks.launch import source_model
from unlearnable.stages.settings.source_model import SourceModelSettings


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    data, base = folder(inp.dataset), folder(inp.base) if inp.base else None  # few noises start from another
    hashed = inp.dataset, *filter(None, [inp.base])
    with job(snakemake) as made, compute_on_ranks(snakemake, *hashed) as (loop, device, ranks):
        settings = SourceModelSettings.model_validate(snakemake.params.recipe["settings"])
        outputs = (out.model, out.history, out.metrics)
        source_model(settings, data, loop, device, *outputs, ranks, snakemake.threads, base=base, made=made)


if __name__ == "__main__":
    main(snakemake)
