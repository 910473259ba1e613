"""Rule training_curves: victims' accuracy over their training steps."""

from unlearnable.curves import training_curves
from unlearnable.job import job


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        training_curves(snakemake.params.cfg, inp.histories, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
