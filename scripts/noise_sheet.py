"""Rule noise_sheet: originals, noises and protected images."""

from unlearnable.files import write_checksums
from unlearnable.jobs.job import folder, job
from unlearnable.products.noise_sheet.figure import noise_sheet


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        perturbed = [folder(path) for path in inp.perturbed]
        noise_sheet(snakemake.params.cfg, perturbed, folder(inp.dataset), out.pdf, out.svg, out.png)
        write_checksums(out.checksums, out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
