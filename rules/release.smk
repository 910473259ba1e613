rule release:
    input:
        dataset=compared("release", lambda w: f"{path(DATASET, release_noise(w))}/manifest.json"),
        train=lambda w: ancient(f"{path(DATASET, release_noise(w))}/train"),
        noise=compared("release", lambda w: f"{path(NOISE, release_noise(w))}/manifest.json"),
        array=lambda w: ancient(f"{path(NOISE, release_noise(w))}/noise.npy"),
    output:
        # The only file of the release that Snakemake knows of, so that it is made again if it is gone.
        sums=f"{RELEASED}/SHA256SUMS",
        # Not handed out: what the release was made with.
        manifest=f"{RELEASE}/manifest.json",
        metrics=f"{RELEASE}/metrics.json",
    log:
        "logs/release/{release}.log",
    benchmark:
        benchmark_file(RELEASE)
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    params:
        recipe=recipe("release"),
    message:
        "Release: {wildcards.release}"
    script:
        "../scripts/release.py"
