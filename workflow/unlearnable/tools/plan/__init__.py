"""``make plan``: the jobs, time, memory and disk space of a study, before anything is computed.

Imports the study and what it is made of, and asks the stages' parts what they cost; it runs no job.
"""
