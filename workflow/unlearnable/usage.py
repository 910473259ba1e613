"""What a process has used of the machine."""

from __future__ import annotations

import platform


def peak_memory_of_process() -> int:
    """Bytes of memory that the process held at its peak."""
    import resource  # POSIX only

    unit = 1 if platform.system() == "Darwin" else 1024  # macOS counts bytes, Linux kibibytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
