"""Rule noise: one shard of the noise, from the frozen source model."""

from unlearnable.datasets.shards import load
from unlearnable.files import check_files
from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute
from unlearnable.stages.noise import make_shard
from unlearnable.stages.settings.noise import NoiseSettings


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    data, model = inp.dataset, inp.model or None  # some noises need no source model
    shard, shards = int(snakemake.wildcards.shard), int(snakemake.wildcards.shards)
    with job(snakemake) as made, compute(snakemake, *filter(None, [data, model])) as (loop, device):
        if model is not None:
            check_files(inp.source[0], model)
        train = load(folder(data), "train")
        settings = NoiseSettings.model_validate(snakemake.params.recipe["settings"])
        make_shard(settings, train, model, shard, shards, loop, device, out.noise, out.metrics, made=made)


if __name__ == "__main__":
    main(snakemake)
