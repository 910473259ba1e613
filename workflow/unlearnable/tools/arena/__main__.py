"""Write a page of rankings from what a study has finished: python -m unlearnable.tools.arena PAGE.html."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

from unlearnable import files
from unlearnable.errors import UserError
from unlearnable.tools.arena.measured import RANKING, measured
from unlearnable.tools.arena.page import page
from unlearnable.tools.plan.reading import read_study


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page.

    Raises:
        SystemExit: the study has no ranking, nothing of it is finished, or a result is damaged.
    """
    parser = argparse.ArgumentParser(prog="python -m unlearnable.tools.arena", description=__doc__)
    parser.add_argument("page", type=Path, help="HTML file to write")
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], help="as for Snakemake")
    parser.add_argument("--directory", type=Path, default=Path(), help="the working directory of the study")
    parser.add_argument("--machine", required=True, help="what the study ran on, for readers")
    given = parser.parse_args(arguments)
    try:
        study = read_study(*given.configfile)
        ranked = [name for name in study.settings.run if RANKING in study.settings.experiments[name].products]
        if not ranked:
            raise UserError(f"no experiment of this study has a {RANKING}; add it to its products")
        found = [each for name in ranked if (each := measured(study, name, given.directory)) is not None]
        if not found:
            raise UserError(f"{given.directory}: no victim of {', '.join(ranked)} is finished; run the study first")
        with files.atomic(given.page) as file:
            for piece in page(found, f"{given.machine}, {datetime.date.today():%Y-%m-%d}"):
                file.write(piece.encode())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
