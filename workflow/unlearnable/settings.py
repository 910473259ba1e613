"""The base of all settings: strict types, no unknown keys, no silent conversions."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="lower-case words joined by '-'")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def nearest(word: str, known: list[str]) -> str:
    """A hint for an unknown ``word``: the closest known one, or all of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


class Settings(BaseModel):
    """Immutable settings that reject unknown keys and do not convert types.

    Whole numbers are accepted as floats (``lr: 1``); nothing else is converted, and no number is infinite.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        """Name the nearest valid key, which pydantic's own message does not."""
        if isinstance(data, dict):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in data:
                if key not in known and key not in cls.model_fields:
                    hint = nearest(str(key), known)
                    raise PydanticCustomError("unknown_key", "unknown key; {hint}", {"key": str(key), "hint": hint})
        return data


def plain(settings: BaseModel) -> dict[str, Any]:
    """Settings as JSON values, as in manifests and in the params of rules."""
    return settings.model_dump(mode="json", by_alias=True)
