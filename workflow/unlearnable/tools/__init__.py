"""What people and the Snakefile call: ``make plan``, ``make watch``, ``make verify``, and the start of a session.

Nothing imports this package, and it may import all others. What the Snakefile and ``make watch`` load must not import
torch, numpy or pandas.
"""
