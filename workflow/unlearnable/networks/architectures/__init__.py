"""Architectures; experiments choose them by file name, with hyphens in place of underscores.

To add one, add a file whose ``build`` returns the network for a number of channels, a number of classes and a stem.
It may have a ``he_normal`` of its own, which draws the initial weights of that name.
If it cannot take images of every size, or has only one stem, ``SIDES`` holds for each stem the smallest height and
width in pixels and the number of which they must be multiples: a literal, because a study is read without torch.
Imports as for ``networks``.
"""
