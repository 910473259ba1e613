"""Rule noise: one shard of the noise, from the frozen source model or from the noise that it is made of."""

from pathlib import Path

from unlearnable.datasets.shards import load
from unlearnable.files import check_files
from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute
from unlearnable.stages.base_noise import base_noise
from unlearnable.stages.noise import make_shard
from unlearnable.stages.settings.noise import NoiseSettings


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    data, model, base = inp.dataset, inp.model or None, inp.base or None  # some noises need no source model
    shard, shards = int(snakemake.wildcards.shard), int(snakemake.wildcards.shards)
    with job(snakemake) as made, compute(snakemake, *filter(None, [data, model, base])) as (loop, device):
        if model is not None:
            check_files(inp.source[0], model)
        train = load(folder(data), "train")
        settings = NoiseSettings.model_validate(snakemake.params.recipe["settings"])
        other = base_noise(settings, train, base and folder(base), folder(data), Path(out.noise).parent)
        make_shard(settings, train, model, shard, shards, loop, device, out.noise, out.metrics, base=other, made=made)


if __name__ == "__main__":
    main(snakemake)
