rule accuracy_table:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        csv=report(
            "results/tables/{experiment}/accuracy.csv",
            caption="../workflow/report/accuracy-table.rst",
            category="Tables",
            labels={"experiment": "{experiment}", "table": "accuracy of the victims"},
        ),
        markdown="results/tables/{experiment}/accuracy.md",
        latex="results/tables/{experiment}/accuracy.tex",
        checksums="results/tables/{experiment}/accuracy.sha256",
    log:
        "logs/tables/{experiment}/accuracy.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "accuracy-table", STUDY.victims(w.experiment)),
        code=code_and_numbers("products.accuracy_table.table"),
    message:
        "Table: accuracy of the victims, {wildcards.experiment}"
    script:
        "../scripts/accuracy_table.py"


rule early_stopping_table:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        csv=report(
            "results/tables/{experiment}/early-stopping.csv",
            caption="../workflow/report/early-stopping-table.rst",
            category="Tables",
            labels={"experiment": "{experiment}", "table": "what early stopping gains"},
        ),
        markdown="results/tables/{experiment}/early-stopping.md",
        latex="results/tables/{experiment}/early-stopping.tex",
        checksums="results/tables/{experiment}/early-stopping.sha256",
    log:
        "logs/tables/{experiment}/early-stopping.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "early-stopping-table", STUDY.victims(w.experiment)),
        code=code("products.early_stopping_table.table"),
    message:
        "Table: what early stopping gains, {wildcards.experiment}"
    script:
        "../scripts/early_stopping_table.py"


rule ranking_table:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        csv=report(
            "results/tables/{experiment}/ranking.csv",
            caption="../workflow/report/ranking-table.rst",
            category="Tables",
            labels={"experiment": "{experiment}", "table": "noises ranked by protection"},
        ),
        markdown="results/tables/{experiment}/ranking.md",
        latex="results/tables/{experiment}/ranking.tex",
        checksums="results/tables/{experiment}/ranking.sha256",
    log:
        "logs/tables/{experiment}/ranking.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "ranking-table", STUDY.victims(w.experiment)),
        code=code("products.ranking_table.table"),
    message:
        "Table: noises ranked by protection, {wildcards.experiment}"
    script:
        "../scripts/ranking_table.py"


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
        checksums="results/tables/{experiment}/cost.sha256",
    log:
        "logs/tables/{experiment}/cost.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(
            w.experiment,
            "cost-table",
            {**STUDY.stages(w.experiment), "source of noise": STUDY.tradeoff(w.experiment)["source model"]},
            measured=measured_of_jobs(w.experiment),
        ),
        code=code_and_numbers("products.cost_table.table"),
    message:
        "Table: cost of each stage, {wildcards.experiment}"
    script:
        "../scripts/cost_table.py"


rule tradeoff_table:
    input:
        sources=lambda w: [f"{path(SOURCE, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["source model"] if c],
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
        checksums="results/tables/{experiment}/tradeoff.sha256",
    log:
        "logs/tables/{experiment}/tradeoff.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "tradeoff-table", STUDY.tradeoff(w.experiment)),
        code=code("products.tradeoff_table.table"),
    message:
        "Table: protection against cost, {wildcards.experiment}"
    script:
        "../scripts/tradeoff_table.py"
