"""Rule loss_figure: victims' training loss and accuracy over their steps."""

from unlearnable.curves import loss_figure
from unlearnable.files import write_checksums
from unlearnable.job import job


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        loss_figure(snakemake.params.cfg, inp.histories, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
