#!/usr/bin/env python3
"""Print running, success or failed for a job's id. Edit the command for your scheduler.

A PBS server tells how a finished job ended only where job_history_enable is set; without, all would count as failed.
"""

from __future__ import annotations

import re
import subprocess
import sys


def main(job: str) -> None:
    """Ask the scheduler; a job that it does not know any more did not end well."""
    asked = subprocess.run(["qstat", "-x", "-f", job], capture_output=True, text=True)
    fields = dict(re.findall(r"^\s*(job_state|Exit_status) = (\S+)", asked.stdout, re.MULTILINE))
    if asked.returncode != 0 and "Unknown Job Id" not in asked.stderr:
        print("running")  # the scheduler does not answer: ask again later
    elif fields.get("job_state", "F") != "F":
        print("running")
    else:
        print("success" if fields.get("Exit_status") == "0" else "failed")


if __name__ == "__main__":
    main(sys.argv[1])
