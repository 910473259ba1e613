"""Architectures; experiments choose them by file name, with hyphens in place of underscores.

To add one, add a file whose ``build`` returns the network for a number of channels, a number of classes and a stem.
Imports as for ``networks``.
"""
