"""Rule source_model: train the network that the noise is computed with."""

from unlearnable.compute import compute
from unlearnable.data.dataset import load
from unlearnable.job import folder, job
from unlearnable.sources import train_source_model


def main(snakemake):
    data, out = snakemake.input.dataset, snakemake.output
    with job(snakemake), compute(snakemake, data) as (loop, device):
        train = load(folder(data), "train")
        train_source_model(snakemake.params.cfg, train, loop, device, out.model, out.history, out.metrics)


if __name__ == "__main__":
    main(snakemake)
