"""Tables and figures; experiments list them by name.

To add one, add a folder with ``settings.py`` (without torch), ``caption.rst`` and ``table.py`` or ``figure.py``, whose
``write`` makes the files from the metrics of the cells. Modules here may import ``training`` and the layers below it.
"""
