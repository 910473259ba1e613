#!/usr/bin/env python3
"""Cancel the jobs whose ids are given. Edit the command for your scheduler."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    os.execvp("qdel", ["qdel", *sys.argv[1:]])
