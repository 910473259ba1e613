"""Rule figure: a figure, from the results of its experiment."""

from unlearnable.jobs.job import job
from unlearnable.products.product import FigureFiles, make


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake) as made:
        files = FigureFiles(out.pdf, out.svg, out.png)
        make(snakemake.params.cfg, dict(inp.items()), files, out.manifest, made=made)


if __name__ == "__main__":
    main(snakemake)
