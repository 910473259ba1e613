"""``make plan``: the jobs, time, memory and disk space of a study, before anything is computed.

Imports the study and everything it uses, and asks each stage, method and counter-measure for its cost; runs no job.
"""
