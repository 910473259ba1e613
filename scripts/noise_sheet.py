"""Rule noise_sheet: originals, noises and protected images."""

from unlearnable.figures import noise_sheet
from unlearnable.job import folder, job


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake):
        perturbed = [folder(path) for path in inp.perturbed]
        noise_sheet(snakemake.params.cfg, perturbed, folder(inp.dataset), out.pdf, out.svg, out.png)


if __name__ == "__main__":
    main(snakemake)
