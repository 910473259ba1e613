"""Rule radius_table: victims' accuracy, radius by noise."""

from unlearnable.job import job
from unlearnable.tables import radius_table


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        radius_table(snakemake.params.cfg, inp.metrics, out.csv, out.markdown, out.latex)


if __name__ == "__main__":
    main(snakemake)
