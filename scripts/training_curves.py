"""Rule training_curves: victims' accuracy over their training steps."""

from unlearnable.curves import training_curves
from unlearnable.files import write_checksums
from unlearnable.job import job


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        training_curves(snakemake.params.cfg, inp.histories, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
