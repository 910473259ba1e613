"""Training of source models and victims: the loop and its checkpoints, ranks that share it, the memory and
work it takes, and accuracies.

It may import ``countermeasures``, ``compute`` and the layers below them.
"""
