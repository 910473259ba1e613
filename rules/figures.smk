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
        checksums="results/figures/{experiment}/accuracy.sha256",
    log:
        "logs/figures/{experiment}/accuracy.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "accuracy-figure", STUDY.victims(w.experiment)),
        code=code("products.accuracy_figure.figure"),
    message:
        "Figure: accuracy against radius, {wildcards.experiment}"
    script:
        "../scripts/accuracy_figure.py"


rule fraction_figure:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        pdf="results/figures/{experiment}/fraction.pdf",
        svg="results/figures/{experiment}/fraction.svg",
        png=report(
            "results/figures/{experiment}/fraction.png",
            caption="../workflow/report/fraction-figure.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "accuracy against the protected share"},
        ),
        checksums="results/figures/{experiment}/fraction.sha256",
    log:
        "logs/figures/{experiment}/fraction.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "fraction-figure", STUDY.victims(w.experiment)),
        code=code_and_numbers("products.fraction_figure.figure"),
    message:
        "Figure: accuracy against the protected share, {wildcards.experiment}"
    script:
        "../scripts/fraction_figure.py"


rule heat_map:
    input:
        metrics=lambda w: [f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)],
    output:
        pdf="results/figures/{experiment}/heat-map.pdf",
        svg="results/figures/{experiment}/heat-map.svg",
        png=report(
            "results/figures/{experiment}/heat-map.png",
            caption="../workflow/report/heat-map.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "noises by ways of training"},
        ),
        checksums="results/figures/{experiment}/heat-map.sha256",
    log:
        "logs/figures/{experiment}/heat-map.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "heat-map", STUDY.victims(w.experiment)),
        code=code("products.heat_map.figure"),
    message:
        "Figure: noises by ways of training, {wildcards.experiment}"
    script:
        "../scripts/heat_map.py"


rule loss_figure:
    input:
        histories=lambda w: [f"{path(VICTIM, c)}/history.parquet" for c in STUDY.victims(w.experiment)],
        metrics=lambda w: ancient([f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)]),
    output:
        pdf="results/figures/{experiment}/loss.pdf",
        svg="results/figures/{experiment}/loss.svg",
        png=report(
            "results/figures/{experiment}/loss.png",
            caption="../workflow/report/loss-figure.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "training loss of the victims"},
        ),
        checksums="results/figures/{experiment}/loss.sha256",
    log:
        "logs/figures/{experiment}/loss.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "loss-figure", STUDY.victims(w.experiment)),
        code=code("products.loss_figure.figure"),
    message:
        "Figure: training loss of the victims, {wildcards.experiment}"
    script:
        "../scripts/loss_figure.py"


rule training_curves:
    input:
        histories=lambda w: [f"{path(VICTIM, c)}/history.parquet" for c in STUDY.victims(w.experiment)],
        metrics=lambda w: ancient([f"{path(VICTIM, c)}/metrics.json" for c in STUDY.victims(w.experiment)]),
    output:
        pdf="results/figures/{experiment}/training-curves.pdf",
        svg="results/figures/{experiment}/training-curves.svg",
        png=report(
            "results/figures/{experiment}/training-curves.png",
            caption="../workflow/report/training-curves.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "training curves of the victims"},
        ),
        checksums="results/figures/{experiment}/training-curves.sha256",
    log:
        "logs/figures/{experiment}/training-curves.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "training-curves", STUDY.victims(w.experiment)),
        code=code("products.training_curves.figure"),
    message:
        "Figure: training curves of the victims, {wildcards.experiment}"
    script:
        "../scripts/training_curves.py"


rule noise_sheet:
    input:
        dataset=lambda w: f"{sheet_source(w.experiment)}/manifest.json",
        train=lambda w: ancient(f"{sheet_source(w.experiment)}/train"),
        perturbed=lambda w: [f"{path(PERTURBED, c)}/manifest.json" for c in STUDY.sheet(w.experiment)],
        shards=lambda w: ancient([f"{path(PERTURBED, c)}/shards" for c in STUDY.sheet(w.experiment)]),
    output:
        pdf="results/figures/{experiment}/noise-sheet.pdf",
        svg="results/figures/{experiment}/noise-sheet.svg",
        png=report(
            "results/figures/{experiment}/noise-sheet.png",
            caption="../workflow/report/noise-sheet.rst",
            category="Figures",
            labels={"experiment": "{experiment}", "figure": "noise sheet"},
        ),
        checksums="results/figures/{experiment}/noise-sheet.sha256",
    log:
        "logs/figures/{experiment}/noise-sheet.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "noise-sheet", STUDY.sheet(w.experiment)),
        code=code("products.noise_sheet.figure"),
    message:
        "Figure: noise sheet, {wildcards.experiment}"
    script:
        "../scripts/noise_sheet.py"


rule tradeoff_figure:
    input:
        sources=lambda w: [f"{path(SOURCE, c)}/metrics.json" for c in STUDY.tradeoff(w.experiment)["source model"] if c],
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
        checksums="results/figures/{experiment}/tradeoff.sha256",
    log:
        "logs/figures/{experiment}/tradeoff.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: STUDY.product_config(w.experiment, "tradeoff-figure", STUDY.tradeoff(w.experiment)),
        code=code("products.tradeoff_figure.figure"),
    message:
        "Figure: protection against cost, {wildcards.experiment}"
    script:
        "../scripts/tradeoff_figure.py"
