"""Settings of datasets of the kind class-subset."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from unlearnable.datasets.settings import AnyDataset, Dataset, nfc


class ClassSubset(Dataset):
    """Some classes of another dataset of the study, in the order of ``classes``."""

    kind: Literal["class-subset"]
    of: Annotated[
        AnyDataset,
        Field(description="name of that dataset"),
        WithJsonSchema({"type": "string"}),  # in a study, which fills it in
    ]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for key in ("image_size", "channels"):
            own, other = getattr(self, key), getattr(self.of, key)
            if own != other:
                raise PydanticCustomError("of", f"{key} is {own}, but that of the dataset it is a part of is {other}")
        known = [*map(nfc, self.of.classes)]
        unknown = [name for name in self.classes if nfc(name) not in known]
        if unknown:
            said = "{name} is no class of the dataset it is a part of; known: {known}"
            raise PydanticCustomError("of", said, {"name": repr(unknown[0]), "known": ", ".join(self.of.classes)})
        return self

    @property
    def labels(self) -> list[int]:
        """The labels of its classes in the other dataset."""
        known = [*map(nfc, self.of.classes)]
        return [known.index(nfc(name)) for name in self.classes]
