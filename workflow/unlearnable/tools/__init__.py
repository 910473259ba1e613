"""Entry points of users and the Snakefile: ``make plan``, ``make watch``, ``make verify``, the start of a session.

Nothing else in the library imports this package, and it may import everything. Modules loaded by the Snakefile and
``make watch`` must not import torch, numpy or pandas.
"""
