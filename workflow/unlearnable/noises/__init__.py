"""Noise methods; experiments choose them by name.

To add one, add a folder with ``settings.py`` (without torch) and ``noise.py``, which defines functions of
``method.NoiseMethod``; ``cost.py`` is optional. One whose noise comes from a file also defines ``base`` (see ``given``
and ``stages.base_noise``). Modules here may import ``training`` and the layers below it, but no
other method (except SEM and clean-uniform, which are kinds of REM).
"""
