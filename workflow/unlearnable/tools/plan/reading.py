"""A study's settings as read by Snakemake, without starting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from unlearnable.errors import UserError
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.study import Study

ROOT = Path(__file__).resolve().parents[4]
UNDER = [ROOT / "config" / name for name in DEFAULTS]


def read_study(configfile: Path | None) -> Study:
    """The study of a configuration file that extends the default ones, as with ``--configfile``.

    Args:
        configfile: YAML; None for the default study.

    Raises:
        UserError: a file cannot be read, or the configuration has faults.
    """
    paths = [*UNDER, *([] if configfile is None else [configfile])]
    config: dict[str, Any] = {}
    for path in paths:
        try:
            update_config(config, load_configfile(path))
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from error
        except WorkflowError as error:
            raise UserError(f"{path}: {error}") from None
    return Study(config, paths, ROOT)
