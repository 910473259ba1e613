# Thin targets, one a stage, so that one can stop anywhere. `all` is the default.


rule all:
    localrule: True
    input:
        products("radius-table", "results/tables/{experiment}/radius.csv"),
        products("cost-table", "results/tables/{experiment}/cost.csv"),
        products("accuracy-figure", "results/figures/{experiment}/accuracy.pdf"),
        products("training-curves", "results/figures/{experiment}/training-curves.pdf"),
        products("noise-sheet", "results/figures/{experiment}/noise-sheet.pdf"),
        [f"{path(PERTURBED, c)}/manifest.json" for c in STUDY.perturbed(*RUN)],
    default_target: True


rule datasets:
    localrule: True
    input:
        sorted({f"{path(DATASET, c)}/manifest.json" for c in STUDY.perturbed(*RUN)}),


rule sources:
    localrule: True
    input:
        [f"{path(SOURCE, c)}/model.safetensors" for c in STUDY.sources(*RUN)],


rule noises:
    localrule: True
    input:
        [f"{path(NOISE, c)}/manifest.json" for c in STUDY.noises(*RUN)],


rule perturbed:
    localrule: True
    input:
        [f"{path(PERTURBED, c)}/manifest.json" for c in STUDY.perturbed(*RUN)],


rule victims:
    localrule: True
    input:
        [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(*RUN)],


rule tables:
    localrule: True
    input:
        products("radius-table", "results/tables/{experiment}/radius.csv"),
        products("cost-table", "results/tables/{experiment}/cost.csv"),


rule figures:
    localrule: True
    input:
        products("accuracy-figure", "results/figures/{experiment}/accuracy.pdf"),
        products("training-curves", "results/figures/{experiment}/training-curves.pdf"),
        products("noise-sheet", "results/figures/{experiment}/noise-sheet.pdf"),
