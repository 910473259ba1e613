"""The names of all products and the keys of ``render``, from the folders found by the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import create_model

from unlearnable import registry
from unlearnable.settings import Settings

if TYPE_CHECKING:
    Product = str

    class Render(Settings):
        """One sub-tree per product."""

else:
    STYLES = {name: registry.settings("products", name) for name in registry.available("products")}
    FIELDS: dict[str, Any] = {name.replace("-", "_"): (style, style()) for name, style in STYLES.items()}
    Product = Literal[tuple(STYLES)]
    Render = create_model("Render", __base__=Settings, __doc__="One sub-tree per product.", **FIELDS)
