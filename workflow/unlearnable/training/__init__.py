"""Training of source models and victims: the loop and its checkpoints, ranks that share it, and accuracies.

It may import ``countermeasures``, ``compute`` and the layers below them.
"""
