"""Rule merge_noise: join the shards; check that every image is covered once and that no noise exceeds its bound."""

from unlearnable.jobs.job import folder, job
from unlearnable.stages.merge_noise import merge
from unlearnable.stages.settings.noise import NoiseSettings


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake) as made:
        merge(
            NoiseSettings.model_validate(snakemake.params.recipe["settings"]),
            folder(inp.dataset),
            inp.shards,
            inp.metrics,
            out.noise,
            out.manifest,
            out.metrics,
            made=made,
        )


if __name__ == "__main__":
    main(snakemake)
