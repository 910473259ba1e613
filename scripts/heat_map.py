"""Rule heat_map: noises by ways of training."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import job
from unlearnable.products.heat_map.figure import heat_map


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        heat_map(snakemake.params.cfg, inp.metrics, out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
