"""Write config.schema.json, which editors use, from the settings classes that the pipeline uses.

python workflow/schemas/make_schema.py
"""

import json
from pathlib import Path

from unlearnable import files
from unlearnable.settings.study import StudySettings


def content() -> str:
    """The JSON schema of the configuration."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | StudySettings.model_json_schema()
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    with files.atomic(Path(__file__).with_name("config.schema.json")) as file:
        file.write(content().encode())
