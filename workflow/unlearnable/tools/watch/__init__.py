"""``make watch``: how far a run is, from a record that Snakemake's events fill and that can be read at any time.

``record`` writes it, in Snakemake's process; the rest reads it, and imports only ``jobs`` and ``progress`` of the
library, so that it starts at once.
"""
