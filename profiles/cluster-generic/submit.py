#!/usr/bin/env python3
"""Submit the job script that Snakemake wrote; print the job's id. Edit the command for your scheduler."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

LOGS = Path(".snakemake/cluster_logs")


def main(script: str) -> None:
    """Become the scheduler's command."""
    line = next(line for line in Path(script).read_text().splitlines() if line.startswith("# properties = "))
    job = json.loads(line.removeprefix("# properties = "))
    needs = job["resources"]
    hours, minutes = divmod(needs["runtime"], 60)
    LOGS.mkdir(parents=True, exist_ok=True)
    chunk = f"select=1:ncpus={job['threads']}:ngpus={needs['gpu']}:mem={needs['mem_mb']}mb"
    command = ["qsub", "-V", "-j", "oe", "-o", f"{LOGS}/", "-N", job.get("rule", "group"), "-q", needs["queue"]]
    os.execvp("qsub", [*command, "-l", chunk, "-l", f"walltime={hours}:{minutes:02}:00", script])


if __name__ == "__main__":
    main(sys.argv[1])
