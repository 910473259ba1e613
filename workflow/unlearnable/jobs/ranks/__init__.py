"""Several processes for one job: ``launch`` (the job) starts ``torchrun``, which starts a ``worker`` for each device.

They exchange files in a temporary folder (``mailbox``). ``worker`` runs the stage like a single process, with the
exchanges of ``unlearnable.training.ranks``. Imports as for ``jobs``; torchrun is imported only if it is needed.
"""
