"""Rule accuracy_table: victims' accuracy, a column for every noise."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.accuracy_table.table import accuracy_table


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        accuracy_table(snakemake.params.cfg, inp.metrics, out.csv, out.markdown, out.latex)
        write_checksums(out.checksums, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
