"""Architectures; experiments choose them by file name, with hyphens in place of underscores.

To add one, add a file whose ``build`` returns the network for a number of channels, a number of classes and a stem. It
may have a ``he_normal`` of its own, which draws the initial weights of that name.
Imports as for ``networks``.
"""
