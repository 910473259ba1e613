# All tables, by the name of their files; each is a folder in workflow/unlearnable/products.

TABLES = products.by_stem("tables")


rule table:
    input:
        unpack(
            lambda w: products.inputs(
                *(STUDY, w.experiment, TABLES[w.table].product),
                lambda paths: ACCEPTANCE.inputs("table", w, paths),
                ancient,
            )
        ),
    output:
        csv=report(
            "results/tables/{experiment}/{table}.csv",
            caption="../workflow/report/product.rst",
            category="Tables",
            labels=lambda w: {"experiment": w.experiment, "table": TABLES[w.table].title},
        ),
        markdown="results/tables/{experiment}/{table}.md",
        latex="results/tables/{experiment}/{table}.tex",
        manifest="results/tables/{experiment}/{table}.json",
    log:
        "logs/tables/{experiment}/{table}.log",
    wildcard_constraints:
        table=any_of(TABLES),
    conda:
        "../envs/pipeline.yaml"
    params:
        cfg=lambda w: products.config(STUDY, w.experiment, TABLES[w.table].product),
        recipe=recipe("table"),
        # Params that depend on the input are not compared with earlier runs: new wording makes nothing run again.
        title=lambda w, input: TABLES[w.table].title,
        caption=lambda w, input: products.caption(TABLES[w.table].product),
    message:
        "Table: {params.title}, {wildcards.experiment}"
    script:
        "../scripts/table.py"
