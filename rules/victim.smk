rule victim:
    input:
        perturbed=lambda w: f"{path(PERTURBED, perturbed_of(cell(Victim, w)))}/manifest.json",
        train=lambda w: ancient(f"{path(PERTURBED, perturbed_of(cell(Victim, w)))}/shards"),
        dataset=f"{DATASET}/manifest.json",
        test=ancient(f"{DATASET}/test"),
    output:
        model=f"{VICTIM}/model.safetensors",
        history=f"{VICTIM}/history.parquet",
        metrics=f"{VICTIM}/metrics.json",
    log:
        "logs/victim/{dataset}/{method}/u{rho_u}-a{rho_a}/p{protected}/{network}/{countermeasure}/r{radius}/s{seed}.log",
    benchmark:
        benchmark_file(VICTIM)
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        **RUNTIME,
        gpu=1,
    params:
        cfg=lambda w: params(STUDY.victim_settings(trained(Victim, w))),
        code=lambda w: code(
            "victim",
            ("networks", w.network),
            ("countermeasures", STUDY.layers.countermeasure(w.countermeasure).kind),
        ),
    message:
        "Victim: {wildcards.network} at radius {wildcards.radius}, counter-measure {wildcards.countermeasure}, on {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} ({wildcards.dataset}), seed {wildcards.seed}"
    script:
        "../scripts/victim.py"
