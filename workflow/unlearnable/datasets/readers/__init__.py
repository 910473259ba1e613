"""Readers of datasets, one for each ``kind``.

To add one, add a folder with ``settings.py`` (without torch) and ``reader.py``, whose ``read`` returns the training and
test streams and their provenance; ``size_hint`` is optional. Imports as for ``datasets``.
"""
