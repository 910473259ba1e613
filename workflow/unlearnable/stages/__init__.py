"""What each rule that computes calls: one module a rule, with the same name.

A stage takes its settings (``stages.settings``), input files and output files, and knows nothing about Snakemake. It
may import ``products``, ``noises`` and the layers below them.
"""
