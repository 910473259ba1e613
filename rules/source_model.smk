rule source_model:
    input:
        dataset=f"{DATASET}/manifest.json",
        train=ancient(f"{DATASET}/train"),
    output:
        model=f"{SOURCE}/model.safetensors",
        history=f"{SOURCE}/history.parquet",
        metrics=f"{SOURCE}/metrics.json",
    log:
        "logs/source_model/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}.log",
    benchmark:
        benchmark_file(SOURCE)
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        **RUNTIME,
        gpu=1,
    params:
        cfg=lambda w: params(STUDY.source_settings(trained(Noise, w))),
        code=lambda w: code(
            "source_model",
            ("noises", STUDY.algorithm(w.method)),
            ("networks", STUDY.source_settings(cell(Noise, w)).training.network),
        ),
    message:
        "Source model: {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/source_model.py"
