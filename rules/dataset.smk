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
        code=lambda w: code("dataset.py", reader_module(w.dataset)),
    message:
        "Dataset {wildcards.dataset}: to shards"
    script:
        "../scripts/dataset.py"
