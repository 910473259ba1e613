rule dataset:
    output:
        manifest=f"{DATASET}/manifest.json",
        train=directory(f"{DATASET}/train"),
        test=directory(f"{DATASET}/test"),
    log:
        "logs/dataset/{dataset}.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.dataset_config(w.dataset),
        code=code("dataset.py"),
    message:
        "Dataset {wildcards.dataset}: to shards"
    script:
        "../scripts/dataset.py"
