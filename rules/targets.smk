# One target per stage, to stop after any of them.


rule datasets:
    input:
        sorted({f"{path(DATASET, c)}/manifest.json" for c in STUDY.perturbed(*RUN)}),
    localrule: True


rule sources:
    input:
        [f"{path(SOURCE, c)}/model.safetensors" for c in STUDY.sources(*RUN)],
    localrule: True


rule noises:
    input:
        [f"{path(NOISE, c)}/manifest.json" for c in STUDY.noises(*RUN)],
    localrule: True


rule perturbed:
    input:
        [f"{path(PERTURBED, c)}/manifest.json" for c in STUDY.perturbed(*RUN)],
    localrule: True


rule releases:
    input:
        expand(f"{RELEASE}/manifest.json", release=STUDY.settings.releases),
    localrule: True


rule victims:
    input:
        [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(*RUN)],
    localrule: True


rule tables:
    input:
        products.targets(STUDY, "tables", "csv"),
    localrule: True


rule figures:
    input:
        products.targets(STUDY, "figures", "pdf"),
    localrule: True
