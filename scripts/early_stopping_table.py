"""Rule early_stopping_table: victims' last and best accuracy."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.early_stopping_table.table import early_stopping_table


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        early_stopping_table(snakemake.params.cfg, inp.metrics, out.csv, out.markdown, out.latex)
        write_checksums(out.checksums, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
