"""Several processes for one job: ``launch`` (the job) starts ``torchrun``, which starts a ``worker`` for each device.

They exchange files of a temporary folder (``mailbox``). ``worker`` runs the stage as a single process would, with the
exchanges of ``unlearnable.training.ranks``. Imports as for ``jobs``; torchrun is imported only when it is needed.
"""
