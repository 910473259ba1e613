"""Robust unlearnable examples: source models, noises, protected datasets and victims.

The library knows nothing of Snakemake. Pixels are floats or ``uint8`` in 0..255, so every
L-infinity radius in this package is a number of grey levels, that is, in units of 1/255.
"""
