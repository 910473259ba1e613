"""Networks: their architectures, how they are built from a seed, and how their weights are stored.

To add a network, add a file to ``architectures``. Modules here may import only those at the package's top level.
"""
