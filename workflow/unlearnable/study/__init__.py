"""A configuration as a study: checked, expanded into cells, with each stage's settings, inputs and code fingerprint.

It may import the layers below it, except for modules that load torch: a Snakefile is parsed without it.
"""
