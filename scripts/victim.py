"""Rule victim: train a network on the protected images and test it on clean ones."""

from unlearnable.datasets import protected, shards
from unlearnable.jobs.job import folder, job
from unlearnable.jobs.long_job import compute
from unlearnable.stages.settings.victim import VictimSettings
from unlearnable.stages.victim import train_victim


def main(snakemake):
    inp, out = snakemake.input, snakemake.output
    hashed = inp.perturbed, inp.dataset, *filter(None, [inp.start])  # few victims start from another's weights
    with job(snakemake) as made, compute(snakemake, *hashed) as (loop, device):
        train = protected.load_protected(folder(inp.perturbed))
        test = shards.load(folder(inp.dataset), "test")
        settings = VictimSettings.model_validate(snakemake.params.recipe["settings"])
        train_victim(settings, train, test, loop, device, out.model, out.history, out.metrics, made=made)


if __name__ == "__main__":
    main(snakemake)
