"""Rule training_curves: victims' accuracy over their training steps."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.training_curves.figure import training_curves


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        training_curves(snakemake.params.cfg, inp.histories, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
