"""Rule loss_figure: victims' training loss and accuracy over their steps."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.loss_figure.figure import loss_figure


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        loss_figure(snakemake.params.cfg, inp.histories, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
