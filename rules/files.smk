# The library's place, and a check of the configuration's files before Snakemake reads those that the Snakefile names.

import sys

from snakemake.exceptions import WorkflowError

sys.path.insert(0, f"{workflow.basedir}/workflow")

from unlearnable.errors import UserError
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.yaml_files import require_unambiguous

FILES = [*(f"{workflow.basedir}/config/{name}" for name in DEFAULTS), *workflow.configfiles]

if workflow.is_main_process:
    try:
        require_unambiguous(FILES)
    except UserError as error:
        raise WorkflowError(f"The configuration has faults:\n{error}") from None
