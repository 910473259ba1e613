"""Whether finished results are those that a study asks for, while Snakemake plans its jobs."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from snakemake.io import ancient
from snakemake.settings.types import RerunTrigger

from unlearnable.study.cells import Noise, Victim, cell
from unlearnable.study.finished import Finished
from unlearnable.study.recipes import Planned, Recipes

TRAINED: dict[str, type[Noise]] = {"source_model": Noise, "victim": Victim}  # the cells of rules that train
NAMED = 5  # results that were made with something else


class Acceptance:
    """Compares the results that jobs have with their recipes; Snakemake's own notes and dates can be lost.

    Nothing is compared where ``--rerun-triggers`` leaves out params, nor in the processes that run single jobs.

    Args:
        workflow: Snakemake's, as in a Snakefile.
        logger: Snakemake's.
        recipes: of the study.
    """

    def __init__(self, workflow: Any, logger: logging.Logger, recipes: Recipes) -> None:
        self.recipes = recipes
        self._workflow, self._logger = workflow, logger
        self._finished = Finished()
        self._planned: dict[tuple[str, ...], Planned] = {}
        self._named: set[str] = set()

    def recipe(self, rule: str, wildcards: Any) -> dict[str, Any]:
        """What the results of a job are made with.

        Ends Snakemake if the job would train in batches of more images than its dataset has.
        """
        if rule in TRAINED and self._workflow.is_main_process:
            for fault in self.recipes.study.unfilled_batches(cell(TRAINED[rule], wildcards), Path()):
                sys.exit(f"The configuration has faults:\n{fault}")  # an exception would print a traceback here
        return self._of(rule, wildcards).recipe.plain()

    def inputs(self, rule: str, wildcards: Any, files: Any) -> Any:
        """The inputs of a job, marked so that their dates do not count if its result stores that it was made from them.

        If the result was made with something else, its job runs again. If jobs are forced on the command line, dates
        count, so that what depends on them runs again, too.
        """
        planned = self._of(rule, wildcards)
        if not (self._compares() and os.path.exists(planned.file)):
            return files
        fault = self._finished.fault(planned)
        if fault is None:
            return files if self._forced() else ancient(files)
        self._workflow.dag.forcefiles.add(planned.file)  # as Snakemake does for incomplete files
        if not fault.inherited and planned.file not in self._named:
            self._named.add(planned.file)
            if len(self._named) <= NAMED:
                self._logger.warning(f"{planned.file} {fault.reason}; it is made again, and what follows from it")
            elif len(self._named) == NAMED + 1:
                self._logger.warning("Further results were made with something else, too, and are made again.")
        return files

    def _of(self, rule: str, wildcards: Any) -> Planned:
        """The result of a job, for which each of its inputs asks; Snakemake's wildcards iterate over their values."""
        job = (rule, *wildcards)
        if job not in self._planned:
            self._planned[job] = self.recipes.of(rule, wildcards)
        return self._planned[job]

    def _compares(self) -> bool:
        return bool(self._workflow.is_main_process and RerunTrigger.PARAMS in self._workflow.rerun_triggers)

    def _forced(self) -> bool:
        """Whether the command line forces jobs; known once Snakemake plans, not while it reads the rules."""
        given = self._workflow.dag_settings
        return bool(given.forcerun or given.forceall or given.forcetargets)
