rule perturbed_dataset:
    input:
        dataset=compared("perturbed_dataset", f"{DATASET}/manifest.json"),
        train=ancient(f"{DATASET}/train"),
        noise=compared("perturbed_dataset", merged_noise),
        array=lambda w: ancient([] if w.method == "clean" else [f"{path(NOISE, cell(Noise, w))}/noise.npy"]),
    output:
        manifest=f"{PERTURBED}/manifest.json",
        metrics=f"{PERTURBED}/metrics.json",
        parquet=directory(f"{PERTURBED}/parquet"),
        shards=directory(f"{PERTURBED}/shards"),
    log:
        "logs/perturbed/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}/p{protected}.log",
    benchmark:
        benchmark_file(PERTURBED)
    conda:
        "../envs/pipeline.yaml"
    threads: 2
    params:
        recipe=recipe("perturbed_dataset"),
    message:
        "Protected dataset: {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} on {wildcards.dataset}, {wildcards.protected} % protected, seed {wildcards.seed}"
    script:
        "../scripts/perturbed_dataset.py"
