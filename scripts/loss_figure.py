"""Rule loss_figure: victims' training loss and accuracy over their steps."""

from unlearnable.curves import loss_figure
from unlearnable.job import job


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        loss_figure(snakemake.params.cfg, inp.histories, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
