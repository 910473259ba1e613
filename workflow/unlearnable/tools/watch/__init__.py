"""``make watch``: the progress of a run, from a record of Snakemake's events that can be read at any time.

``record`` writes it in Snakemake's process. The other modules read it and import only ``errors``, ``jobs`` and
``progress`` from the library, to start quickly.
"""
