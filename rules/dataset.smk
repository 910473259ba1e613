rule dataset:
    input:
        compared("dataset", []),
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
        recipe=recipe("dataset"),
    message:
        "Dataset {wildcards.dataset}: to shards"
    script:
        "../scripts/dataset.py"
