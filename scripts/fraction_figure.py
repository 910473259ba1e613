"""Rule fraction_figure: victims' accuracy against the protected share."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.fraction_figure.figure import fraction_figure


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        fraction_figure(snakemake.params.cfg, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
