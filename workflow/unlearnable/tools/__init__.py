"""Entry points of users and the Snakefile: ``make plan``, ``make watch``, ``make verify``, the start of a session.

Nothing imports this package, and it may import all others. Modules loaded by the Snakefile and ``make watch`` must not
import torch, numpy or pandas.
"""
