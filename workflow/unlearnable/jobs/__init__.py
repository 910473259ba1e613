"""How a job runs: everything a script does around its call of a stage.

Logging and exit codes, the device and leased GPUs, checkpoints, signals, time limits, the job's Snakemake process, and
the locks that show what runs in a folder. This package may import anything but ``tools``. No code that computes results
may import it, so a change here makes nothing run again.
"""
