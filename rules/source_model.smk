rule source_model:
    input:
        dataset=compared("source_model", f"{DATASET}/manifest.json"),
        train=ancient(f"{DATASET}/train"),
        base=compared("source_model", lambda w: file_of(NOISE, "manifest.json", STUDY.start_of(cell(Noise, w)))),
        array=lambda w: ancient([f"{path(NOISE, c)}/noise.npy" for c in [STUDY.start_of(cell(Noise, w))] if c]),
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
        recipe=recipe("source_model"),
    message:
        "Source model: {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/source_model.py"
