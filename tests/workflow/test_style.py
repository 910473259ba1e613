"""Snakemake's own checks of the rules."""

from __future__ import annotations

import subprocess

import pytest

from .pipeline import BIN, ROOT


@pytest.mark.parametrize("command", [("snakefmt", "--check", "Snakefile", "rules"), ("snakemake", "--lint")])
def test_the_rules_pass(command: tuple[str, ...]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
