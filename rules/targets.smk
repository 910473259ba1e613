# Thin targets, one a stage, so that one can stop anywhere.


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


rule victims:
    input:
        [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(*RUN)],
    localrule: True


rule tables:
    input:
        products("accuracy-table", "results/tables/{experiment}/accuracy.csv"),
        products("early-stopping-table", "results/tables/{experiment}/early-stopping.csv"),
        products("ranking-table", "results/tables/{experiment}/ranking.csv"),
        products("cost-table", "results/tables/{experiment}/cost.csv"),
        products("tradeoff-table", "results/tables/{experiment}/tradeoff.csv"),
    localrule: True


rule figures:
    input:
        products("accuracy-figure", "results/figures/{experiment}/accuracy.pdf"),
        products("fraction-figure", "results/figures/{experiment}/fraction.pdf"),
        products("loss-figure", "results/figures/{experiment}/loss.pdf"),
        products("heat-map", "results/figures/{experiment}/heat-map.pdf"),
        products("tradeoff-figure", "results/figures/{experiment}/tradeoff.pdf"),
        products("training-curves", "results/figures/{experiment}/training-curves.pdf"),
        products("noise-sheet", "results/figures/{experiment}/noise-sheet.pdf"),
    localrule: True
