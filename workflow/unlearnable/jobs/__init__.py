"""How a job runs: what a script does around its one call of a stage.

Logging and exit codes, the device and the lease of its GPUs, checkpoints, signals, time limits, the Snakemake process
that it belongs to, and the locks that show what runs in a folder. This package may import anything but ``tools``, and
nothing that is computed may import it; no result depends on it, so that a change here computes nothing again.
"""
