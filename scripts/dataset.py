"""Rule dataset: from any source of images to shards and a manifest."""

from pathlib import Path

from unlearnable.jobs.job import job
from unlearnable.registry import validated
from unlearnable.stages.dataset import prepare


def main(snakemake):
    with job(snakemake) as made:
        out = snakemake.output
        prepare(
            validated("readers", snakemake.params.recipe["settings"]),
            root=Path(snakemake.scriptdir).parent,
            train=Path(out.train),
            test=Path(out.test),
            manifest=Path(out.manifest),
            downloads=Path(out.manifest).parent / "download",
            made=made,
        )


if __name__ == "__main__":
    main(snakemake)
