"""How the images of a noise are shared among jobs."""

from __future__ import annotations

import math


def shard_rows(rows: int, batch_size: int, shard: int, shards: int) -> range:
    """The rows of one shard: whole batches, as evenly shared as they can be."""
    batches = math.ceil(rows / batch_size)
    first, last = batches * shard // shards, batches * (shard + 1) // shards
    return range(min(first * batch_size, rows), min(last * batch_size, rows))
