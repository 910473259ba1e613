"""Rule ranking_table: noises ranked by protection."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.ranking_table.table import ranking_table


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        ranking_table(snakemake.params.cfg, inp.metrics, out.csv, out.markdown, out.latex)
        write_checksums(out.checksums, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
