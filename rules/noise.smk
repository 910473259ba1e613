rule noise:
    input:
        dataset=compared("noise", f"{DATASET}/manifest.json"),
        train=ancient(f"{DATASET}/train"),
        model=compared("noise", lambda w: file_of(SOURCE, "model.safetensors", STUDY.source_of(cell(Noise, w)))),
        source=lambda w: ancient([f"{path(SOURCE, c)}/metrics.json" for c in [STUDY.source_of(cell(Noise, w))] if c]),
        base=compared("noise", lambda w: file_of(NOISE, "manifest.json", STUDY.base_of(cell(Noise, w)))),
        array=lambda w: ancient([f"{path(NOISE, c)}/noise.npy" for c in [STUDY.base_of(cell(Noise, w))] if c]),
    output:
        noise=f"{NOISE}/shards/{{shard}}-of-{{shards}}.npy",
        metrics=f"{NOISE}/shards/{{shard}}-of-{{shards}}.json",
    log:
        "logs/noise/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}/{shard}-of-{shards}.log",
    benchmark:
        benchmark_file(f"{NOISE}/{{shard}}-of-{{shards}}")
    conda:
        "../envs/pipeline.yaml"
    threads: 1
    resources:
        **RUNTIME,
        gpu=1,
    params:
        recipe=recipe("noise"),
    message:
        "Noise: {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} on {wildcards.dataset}, seed {wildcards.seed}, shard {wildcards.shard} of {wildcards.shards}"
    script:
        "../scripts/noise.py"


rule merge_noise:
    input:
        dataset=compared("merge_noise", f"{DATASET}/manifest.json"),
        # Their dates are ignored: the metrics hold their hashes.
        shards=lambda w: ancient(shard_files("npy")(w)),
        metrics=compared("merge_noise", shard_files("json")),
    output:
        noise=f"{NOISE}/noise.npy",
        manifest=f"{NOISE}/manifest.json",
        metrics=f"{NOISE}/metrics.json",
    log:
        "logs/noise/{dataset}/{method}/u{rho_u}-a{rho_a}/s{seed}/merge.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        recipe=recipe("merge_noise"),
    message:
        "Noise: join {wildcards.method} u{wildcards.rho_u}-a{wildcards.rho_a} on {wildcards.dataset}, seed {wildcards.seed}"
    script:
        "../scripts/merge_noise.py"
