"""Write config.schema.json, which editors use, from the settings classes that the pipeline uses.

python workflow/schemas/make_schema.py
"""

import json
from pathlib import Path
from typing import Any

from unlearnable import files
from unlearnable.study.schema import StudySettings


def content() -> str:
    """The JSON schema of a configuration file, which may be one to lay over others: no key has to be in it."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | StudySettings.model_json_schema()
    return json.dumps(_laid_over(schema), indent=2) + "\n"


def _laid_over(schema: Any) -> Any:
    """The schema without keys that must be there; what tells the kinds of an entry apart may be missing as well."""
    if isinstance(schema, list):
        return [_laid_over(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {
        key: _laid_over(part) for key, part in schema.items() if not (key == "required" and isinstance(part, list))
    }
    parts.pop("discriminator", None)
    return {"anyOf" if key == "oneOf" else key: part for key, part in parts.items()}


if __name__ == "__main__":
    with files.atomic(Path(__file__).with_name("config.schema.json")) as file:
        file.write(content().encode())
