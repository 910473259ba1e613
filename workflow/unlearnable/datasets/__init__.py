"""Images and labels: where they come from (``readers``), and how clean and protected datasets are stored.

To add a kind of dataset, add a folder to ``readers``. Modules here may import only those at the package's top level.
"""
