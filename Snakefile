"""Robust unlearnable examples: from a dataset to protected images, victims, tables and figures."""

from snakemake.utils import min_version

min_version("9.27")


include: "rules/files.smk"


configfile: f"{workflow.basedir}/config/config.yaml"
configfile: f"{workflow.basedir}/config/datasets.yaml"
configfile: f"{workflow.basedir}/config/paper.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/targets.smk"
include: "rules/dataset.smk"
include: "rules/source_model.smk"
include: "rules/noise.smk"
include: "rules/perturbed_dataset.smk"
include: "rules/release.smk"
include: "rules/victim.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"


rule all:
    input:
        rules.perturbed.input,
        rules.tables.input,
        rules.figures.input,
        rules.releases.input,
    localrule: True
