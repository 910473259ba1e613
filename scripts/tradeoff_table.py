"""Rule tradeoff_table: protection against cost."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.tradeoff_table.table import tradeoff_table


def main(snakemake):
    cfg, inp, out = snakemake.params.cfg, snakemake.input, snakemake.output
    with job(snakemake):
        stages = {"source model": inp.sources, "noise": inp.noises, "victim": inp.victims}
        metrics = {stage: (cfg["cells"][stage], paths) for stage, paths in stages.items()}
        tradeoff_table(cfg, metrics, out.csv, out.markdown, out.latex)
        write_checksums(out.checksums, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
