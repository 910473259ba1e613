"""Rule release: an owner's files with noise, to hand out."""

from pathlib import Path

from unlearnable.jobs.job import folder, job
from unlearnable.stages.release import release
from unlearnable.stages.settings.release import ReleaseSettings


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake) as made:
        release(
            ReleaseSettings.model_validate(snakemake.params.recipe["settings"]),
            root=Path(snakemake.scriptdir).parent,
            source=folder(inp.dataset),
            noise=folder(inp.noise),
            into=folder(out.sums),
            manifest=Path(out.manifest),
            metrics=Path(out.metrics),
            threads=snakemake.threads,
            made=made,
        )


if __name__ == "__main__":
    main(snakemake)
