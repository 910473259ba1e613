rule dataset:
    localrule: True
    output:
        manifest=f"{DATASET}/manifest.json",
        train=directory(f"{DATASET}/train"),
        test=directory(f"{DATASET}/test"),
    log:
        "logs/dataset/{dataset}.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.dataset_config(w.dataset),
        code=code("dataset.py"),
    message:
        "Dataset {wildcards.dataset}: to shards"
    script:
        "../scripts/dataset.py"
