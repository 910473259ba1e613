"""Write the files generated from the settings classes: the JSON schema that editors use, and the tables of keys.

python workflow/schemas/make_schema.py
"""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from unlearnable import files, registry
from unlearnable.datasets.augmentation import Augmentation
from unlearnable.stages.settings.source_model import SourceTraining
from unlearnable.stages.settings.victim import VictimTraining
from unlearnable.study.schema import ShardedPass, StudySettings

sys.path.insert(0, str(Path(__file__).parent))
import keys

Schema = dict[str, Any]
LINE = 120


def content() -> str:
    """The JSON schema of a configuration file, which may extend others: no key is required."""
    return _written(_without_required(schema())) + "\n"


def schema() -> Schema:
    """The schema of all keys of a configuration, including those that are merged before they are checked."""
    whole: Schema = StudySettings.model_json_schema()
    defined = whole["$defs"]
    for model in (Augmentation, SourceTraining, ShardedPass, VictimTraining):
        _define(defined, model.__name__, model)
    entries = {axis: [_entry(defined, axis, name) for name in registry.available(axis)] for axis in registry.AXES}
    methods: Schema = {
        key: {} for name in entries["noises"] for key in defined[name]["properties"] if key != "algorithm"
    }
    for name in entries["noises"]:
        keys = defined[name]["properties"]
        methods |= {key: _ref(name, key) for key in methods if key in keys}
        keys["by_dataset"] = _by_name(_keys_of(defined, [name], leave_out=("algorithm", "preset")))
    for name in entries["readers"]:
        defined[name]["properties"]["augmentation"] = _ref("Augmentation")
    of_noise = {key: _ref("ShardedPass", key) for key in defined["ShardedPass"]["properties"]}
    defined["NoiseByMethod"] = _object(methods | of_noise)
    top = whole["properties"]
    for key, axis in (("datasets", "readers"), ("methods", "noises"), ("countermeasures", "countermeasures")):
        (names,) = top[key]["patternProperties"]
        top[key]["patternProperties"][names] = {"anyOf": [_ref(name) for name in entries[axis]]}
    top["source_model"] = _stage("SourceTraining", defined, _ref("SourceTraining"))
    top["noise"] = _stage("ShardedPass", defined, _ref("NoiseByMethod"))
    top["victim"] = _object({"default": _ref("VictimTraining")} | dict.fromkeys(
        ("by_dataset", "by_network"), _by_name(_ref("VictimTraining"))
    ))  # fmt: skip
    for unused in ("ByMethod", "ByNetwork"):
        del defined[unused]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | whole


def _define(defined: Schema, name: str, model: type[BaseModel]) -> None:
    own: Schema = model.model_json_schema()
    defined |= own.pop("$defs", {})
    defined[name] = own | {"title": name}


def _entry(defined: Schema, axis: str, name: str) -> str:
    """The definition of an entry of the registry."""
    if not registry.AXES[axis].base:
        return name
    model = registry.settings(axis, name)
    _define(defined, model.__name__, model)
    return str(model.__name__)


def _stage(own: str, defined: Schema, of_method: Schema) -> Schema:
    """A stage whose keys can be set by default, by method, by dataset, and by method within a dataset."""
    by_method = {"by_method": _by_name(of_method)}
    return _object({"default": _ref(own), "by_dataset": _by_name(_keys_of(defined, [own], more=by_method))} | by_method)


def _keys_of(defined: Schema, names: list[str], leave_out: tuple[str, ...] = (), more: Schema | None = None) -> Schema:
    keys = {key: _ref(name, key) for name in names for key in defined[name]["properties"] if key not in leave_out}
    return _object(keys | (more or {}))


def _ref(name: str, key: str | None = None) -> Schema:
    return {"$ref": f"#/$defs/{name}" + (f"/properties/{key}" if key else "")}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _by_name(inner: Schema) -> Schema:
    return {"type": "object", "additionalProperties": inner}


def _without_required(schema: Any) -> Any:
    """The schema without required keys, which may be in other files, and without pydantic's titles."""
    if isinstance(schema, list):
        return [_without_required(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_required(part)
        for key, part in schema.items()
        if not (key == "required" and isinstance(part, list)) and not (key == "title" and isinstance(part, str))
    }


def _written(value: Any, indent: str = "", before: int = 0) -> str:
    """JSON with every value on one line if it fits, after ``before`` characters."""
    short = json.dumps(value)
    if len(indent) + before + len(short) <= LINE or not isinstance(value, dict | list):
        return short
    inner = f"{indent} "
    if isinstance(value, list):
        parts = [_written(each, inner) for each in value]
    else:
        parts = [f"{json.dumps(key)}: {_written(each, inner, len(key) + 4)}" for key, each in value.items()]
    opening, closing = "[]" if isinstance(value, list) else "{}"
    lines = f",\n{inner}".join(parts)
    return f"{opening}\n{inner}{lines}\n{indent}{closing}"


def main() -> None:
    """Write both."""
    page = Path(__file__).parents[2] / "config/README.md"
    for path, text in (
        (Path(__file__).with_name("config.schema.json"), content()),
        (page, keys.filled(page.read_text(encoding="utf-8"))),
    ):
        with files.atomic(path) as file:
            file.write(text.encode())


if __name__ == "__main__":
    main()
