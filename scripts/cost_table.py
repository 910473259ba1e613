"""Rule cost_table: passes, seconds and memory of each stage."""

from itertools import groupby

from unlearnable.costs import cost_table
from unlearnable.files import write_checksums
from unlearnable.job import folder, job


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
        jobs = {
            "source model": [[path] for path in inp.source_jobs],
            "noise": [list(shards) for _, shards in groupby(inp.noise_jobs, folder)],
            "perturbed dataset": [[path] for path in inp.perturbed_jobs],
            "victim": [[path] for path in inp.victim_jobs],
        }
        cost_table(cfg, metrics, jobs, out.csv, out.markdown, out.latex)
        write_checksums(out.checksums, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
