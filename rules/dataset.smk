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
        cfg=lambda w: params(STUDY.dataset_settings(w.dataset)),
        code=lambda w: code("stages.dataset", module_name("readers", STUDY.dataset_settings(w.dataset).kind)),
    message:
        "Dataset {wildcards.dataset}: to shards"
    script:
        "../scripts/dataset.py"
