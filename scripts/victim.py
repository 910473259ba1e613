"""Rule victim: train a network on the published images and test it on clean ones."""

from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute
from unlearnable.stages import dataset
from unlearnable.stages import perturbed_dataset as published
from unlearnable.stages.victim import train_victim


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    with job(snakemake), compute(snakemake, inp.perturbed, inp.dataset) as (loop, device):
        train = published.load(folder(inp.perturbed))
        test = dataset.load(folder(inp.dataset), "test")
        train_victim(snakemake.params.cfg, train, test, loop, device, out.model, out.history, out.metrics)


if __name__ == "__main__":
    main(snakemake)
