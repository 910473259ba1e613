"""A study's settings as read by Snakemake, without starting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from unlearnable.study.faults import DEFAULTS
from unlearnable.study.study import Study
from unlearnable.study.yaml_files import require_unambiguous

ROOT = Path(__file__).resolve().parents[4]
UNDER = [ROOT / "config" / name for name in DEFAULTS]


def read_study(*configfiles: Path) -> Study:
    """The study of configuration files that extend the default ones, as with ``--configfile``.

    Args:
        configfiles: YAML, each laid over those before it; none for the default study.

    Raises:
        UserError: a file cannot be read or is ambiguous, or the configuration has faults.
    """
    config = default_config()
    require_unambiguous(configfiles)
    for path in configfiles:
        update_config(config, load_configfile(path))
    return Study(config, [*UNDER, *configfiles], ROOT)


def default_config() -> dict[str, Any]:
    """The keys of the default configuration files, as every study extends them.

    Raises:
        UserError: a file cannot be read or is ambiguous.
    """
    require_unambiguous(UNDER)
    config: dict[str, Any] = {}
    for path in UNDER:
        update_config(config, load_configfile(path))
    return config
