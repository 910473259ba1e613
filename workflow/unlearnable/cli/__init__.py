"""The command ``unlearnable``: a front for owners of images and for studies.

Each subcommand is a file of its own with a click command named ``command``; ``main`` collects them.
"""
