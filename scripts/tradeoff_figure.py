"""Rule tradeoff_figure: protection against cost."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.tradeoff_figure.figure import tradeoff_figure


def main(snakemake):
    cfg, inp, out = snakemake.params.cfg, snakemake.input, snakemake.output
    with job(snakemake):
        stages = {"source model": inp.sources, "noise": inp.noises, "victim": inp.victims}
        metrics = {stage: (cfg["cells"][stage], paths) for stage, paths in stages.items()}
        tradeoff_figure(cfg, metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
