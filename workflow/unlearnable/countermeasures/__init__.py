"""What a trainer may do against noise; experiments choose counter-measures by name.

To add one, add a folder with ``settings.py`` (without torch) and ``countermeasure.py``, whose ``build`` returns a
``base.Countermeasure``; one without settings is a single file, such as ``none.py``. Modules here may import ``compute``
and the layers below it, but no other counter-measure.
"""
