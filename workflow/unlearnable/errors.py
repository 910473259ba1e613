"""The exceptions a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or a bad environment; the message says what is wrong, where, and what would be right."""


class Stopped(Exception):
    """A loop saved its checkpoint and left early: out of time, or asked to stop."""
