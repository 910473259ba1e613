rule radius_table:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        csv=report(
            "results/tables/{experiment}/radius.csv",
            caption="../workflow/report/radius-table.rst",
            category="Tables",
            labels={"experiment": "{experiment}", "table": "accuracy by radius"},
        ),
        markdown="results/tables/{experiment}/radius.md",
        latex="results/tables/{experiment}/radius.tex",
    log:
        "logs/tables/{experiment}/radius.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "radius-table", STUDY.victims(w.experiment)),
        code=code("radius_table.py"),
    message:
        "Table: accuracy by radius, {wildcards.experiment}"
    script:
        "../scripts/radius_table.py"


rule cost_table:
    input:
        sources=lambda w: [f"{path(SOURCE, c)}/metrics.json" for c in STUDY.sources(w.experiment)],
        noises=lambda w: [f"{path(NOISE, c)}/metrics.json" for c in STUDY.noises(w.experiment)],
        perturbed=lambda w: [f"{path(PERTURBED, c)}/metrics.json" for c in STUDY.perturbed(w.experiment)],
        victims=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        csv=report(
            "results/tables/{experiment}/cost.csv",
            caption="../workflow/report/cost-table.rst",
            category="Tables",
            labels={"experiment": "{experiment}", "table": "cost of each stage"},
        ),
        markdown="results/tables/{experiment}/cost.md",
        latex="results/tables/{experiment}/cost.tex",
    log:
        "logs/tables/{experiment}/cost.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "cost-table", STUDY.stages(w.experiment)),
        code=code("cost_table.py"),
    message:
        "Table: cost of each stage, {wildcards.experiment}"
    script:
        "../scripts/cost_table.py"


rule tradeoff_table:
    input:
        sources=lambda w: [f"{path(SOURCE, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["source model"]],
        noises=lambda w: [f"{path(NOISE, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["noise"]],
        victims=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["victim"]],
    output:
        csv=report(
            "results/tables/{experiment}/tradeoff.csv",
            caption="../workflow/report/tradeoff-table.rst",
            category="Tables",
            labels={"experiment": "{experiment}", "table": "protection against cost"},
        ),
        markdown="results/tables/{experiment}/tradeoff.md",
        latex="results/tables/{experiment}/tradeoff.tex",
    log:
        "logs/tables/{experiment}/tradeoff.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "tradeoff-table", STUDY.tradeoff(w.experiment)),
        code=code("tradeoff_table.py"),
    message:
        "Table: protection against cost, {wildcards.experiment}"
    script:
        "../scripts/tradeoff_table.py"
