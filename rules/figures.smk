# All figures, by the name of their files; each is a folder in workflow/unlearnable/products.

FIGURES = products.by_stem("figures")


rule figure:
    input:
        unpack(
            lambda w: products.inputs(
                *(STUDY, w.experiment, FIGURES[w.figure].product),
                lambda paths: ACCEPTANCE.inputs("figure", w, paths),
                ancient,
            )
        ),
    output:
        pdf="results/figures/{experiment}/{figure}.pdf",
        svg="results/figures/{experiment}/{figure}.svg",
        png=report(
            "results/figures/{experiment}/{figure}.png",
            caption="../workflow/report/product.rst",
            category="Figures",
            labels=lambda w: {"experiment": w.experiment, "figure": FIGURES[w.figure].title},
        ),
        manifest="results/figures/{experiment}/{figure}.json",
    log:
        "logs/figures/{experiment}/{figure}.log",
    wildcard_constraints:
        figure=any_of(FIGURES),
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: products.config(STUDY, w.experiment, FIGURES[w.figure].product),
        recipe=recipe("figure"),
        # Params that depend on the input are not compared with earlier runs: new wording makes nothing run again.
        title=lambda w, input: FIGURES[w.figure].title,
        caption=lambda w, input: products.caption(FIGURES[w.figure].product),
    message:
        "Figure: {params.title}, {wildcards.experiment}"
    script:
        "../scripts/figure.py"
