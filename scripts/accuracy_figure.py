"""Rule accuracy_figure: victims' accuracy against their radius."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.accuracy_figure.figure import accuracy_figure


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        accuracy_figure(snakemake.params.cfg, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
