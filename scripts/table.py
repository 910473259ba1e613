"""Rule table: a table, from the results of its experiment."""

from unlearnable.jobs.job import job
from unlearnable.products.product import TableFiles, make


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake) as made:
        make(
            snakemake.params.cfg,
            dict(inp.items()),
            TableFiles(out.csv, out.markdown, out.latex),
            out.manifest,
            made=made,
        )


if __name__ == "__main__":
    main(snakemake)
