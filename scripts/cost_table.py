"""Rule cost_table: passes, seconds and memory of each stage."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.cost_table.table import cost_table


def main(snakemake):
    cfg, inp, out = snakemake.params.cfg, snakemake.input, snakemake.output
    with job(snakemake):
        stages = {
            "source model": inp.sources,
            "noise": inp.noises,
            "perturbed dataset": inp.perturbed,
            "victim": inp.victims,
        }
        metrics = {stage: (cfg["cells"][stage], paths) for stage, paths in stages.items()}
        cost_table(cfg, metrics, out.csv, out.markdown, out.latex)
        write_checksums(out.checksums, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
