"""Rule accuracy_figure: victims' accuracy against their radius."""

from unlearnable.figures import accuracy_figure
from unlearnable.files import write_checksums
from unlearnable.job import job


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        accuracy_figure(snakemake.params.cfg, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
