"""How results are computed: the device and its memory, gradients through frozen networks, PGD, augmentation, draws.

Everything here works for any network, noise and dataset. It may import ``datasets``, ``networks`` and the modules at
the top level of the package.
"""
