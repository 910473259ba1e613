rule accuracy_figure:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        pdf="results/figures/{experiment}/accuracy.pdf",
        svg="results/figures/{experiment}/accuracy.svg",
        png=report(
            "results/figures/{experiment}/accuracy.png",
            caption="../workflow/report/accuracy-figure.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "accuracy against radius"},
        ),
    log:
        "logs/figures/{experiment}/accuracy.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "accuracy-figure", STUDY.victims(w.experiment)),
        code=code("accuracy_figure.py"),
    message:
        "Figure: accuracy against radius, {wildcards.experiment}"
    script:
        "../scripts/accuracy_figure.py"


rule training_curves:
    input:
        histories=lambda w: [f"{path(VICTIM, c)}/history.parquet" for c in STUDY.victims(w.experiment)],
    output:
        pdf="results/figures/{experiment}/training-curves.pdf",
        svg="results/figures/{experiment}/training-curves.svg",
        png=report(
            "results/figures/{experiment}/training-curves.png",
            caption="../workflow/report/training-curves.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "training curves of the victims"},
        ),
    log:
        "logs/figures/{experiment}/training-curves.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "training-curves", STUDY.victims(w.experiment)),
        code=code("training_curves.py"),
    message:
        "Figure: training curves, {wildcards.experiment}"
    script:
        "../scripts/training_curves.py"


rule noise_sheet:
    input:
        dataset=lambda w: f"{sheet_source(w.experiment)}/manifest.json",
        train=lambda w: ancient(f"{sheet_source(w.experiment)}/train"),
        perturbed=lambda w: [f"{path(PERTURBED, c)}/manifest.json" for c in STUDY.sheet(w.experiment)],
    output:
        pdf="results/figures/{experiment}/noise-sheet.pdf",
        svg="results/figures/{experiment}/noise-sheet.svg",
        png=report(
            "results/figures/{experiment}/noise-sheet.png",
            caption="../workflow/report/noise-sheet.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "noise sheet"},
        ),
    log:
        "logs/figures/{experiment}/noise-sheet.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "noise-sheet", STUDY.sheet(w.experiment)),
        code=code("noise_sheet.py"),
    message:
        "Figure: noise sheet, {wildcards.experiment}"
    script:
        "../scripts/noise_sheet.py"


rule tradeoff_figure:
    input:
        sources=lambda w: [f"{path(SOURCE, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["source model"]],
        noises=lambda w: [f"{path(NOISE, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["noise"]],
        victims=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["victim"]],
    output:
        pdf="results/figures/{experiment}/tradeoff.pdf",
        svg="results/figures/{experiment}/tradeoff.svg",
        png=report(
            "results/figures/{experiment}/tradeoff.png",
            caption="../workflow/report/tradeoff-figure.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "protection against cost"},
        ),
    log:
        "logs/figures/{experiment}/tradeoff.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "tradeoff-figure", STUDY.tradeoff(w.experiment)),
        code=code("tradeoff_figure.py"),
    message:
        "Figure: protection against cost, {wildcards.experiment}"
    script:
        "../scripts/tradeoff_figure.py"
