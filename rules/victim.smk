rule victim:
    input:
        perturbed=compared("victim", lambda w: f"{path(PERTURBED, perturbed_of(cell(Victim, w)))}/manifest.json"),
        train=lambda w: ancient(f"{path(PERTURBED, perturbed_of(cell(Victim, w)))}/shards"),
        dataset=compared("victim", f"{DATASET}/manifest.json"),
        test=ancient(f"{DATASET}/test"),
        start=compared("victim", lambda w: file_of(VICTIM, "metrics.json", STUDY.start_of_victim(cell(Victim, w)))),
        weights=lambda w: ancient(
            [f"{path(VICTIM, c)}/model.safetensors" for c in [STUDY.start_of_victim(cell(Victim, w))] if c]
        ),
    output:
        model=f"{VICTIM}/model.safetensors",
        history=f"{VICTIM}/history.parquet",
        metrics=f"{VICTIM}/metrics.json",
    log:
        "logs/victim/{dataset}/{method}/u{rho_u}-a{rho_a}/p{protected}/{network}/{countermeasure}/r{radius}/s{seeds}.log",
    benchmark:
        benchmark_file(VICTIM)
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        **RUNTIME,
        gpu=1,
    params:
        recipe=recipe("victim"),
    message:
        "Victim: {wildcards.network} at radius {wildcards.radius}, counter-measure {wildcards.countermeasure}, on {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} ({wildcards.dataset}), seed {wildcards.seeds}"
    script:
        "../scripts/victim.py"
