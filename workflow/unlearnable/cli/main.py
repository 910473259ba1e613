"""The command ``unlearnable``."""

from __future__ import annotations

from typing import Any

import click

from unlearnable.cli import audit, plan, preview, protect, run, verify, watch
from unlearnable.errors import UserError


class OneLine(click.Group):
    """Commands that report bad input as plain lines on stderr, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(str(error), err=True)
            ctx.exit(1)


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Publish images so that nobody can train on them, and measure how well that works.

    Results are written to the folder results of the project, unless --directory says otherwise.
    """


for module in (preview, protect, audit, verify, run, plan, watch):
    main.add_command(module.command)

if __name__ == "__main__":
    main()
