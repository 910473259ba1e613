"""Settings of a noise that somebody else made."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from unlearnable import bounds
from unlearnable.bounds import Bound
from unlearnable.errors import UserError
from unlearnable.noises.given.place import checksum, located, require_known
from unlearnable.noises.settings import MethodSettings
from unlearnable.settings import Sha256

LARGEST = {"linf": 255, "l0": 1024**2}  # of a radius that is a whole number


class Given(MethodSettings):
    """Anybody's noise, or images that are protected already, from a file; nothing is computed."""

    source: ClassVar[Literal["own", "clean", "none"]] = "none"
    radii: ClassVar[tuple[str, ...]] = ()

    algorithm: Literal["given"]
    path: str = Field(
        min_length=1,
        description="the file: .npy, .npz, .safetensors, .pt or .pth, .parquet; or a folder of PNG files or of "
        "train*.parquet; a relative path starts at the project's folder",
    )
    sha256: Sha256 | None = Field(
        None, description="its checksum, required to run; without it, a dry run says which one to write here"
    )
    content: Literal["noise", "images"] = Field(
        description="noise: what is added to the images; images: protected images, from which the dataset's are taken"
    )
    unit: Literal["levels", "unit", "signed-unit"] = Field(
        description="of its values: levels: grey levels, images in 0..255; unit: 1 is 255 levels, images in 0..1; "
        "signed-unit: 1 is 127.5 levels, images in -1..1"
    )
    per: Literal["image", "class"] = Field(
        "image", description="one noise for each training image, in their order; or for each class"
    )
    array: str | None = Field(
        None,
        min_length=1,
        description="name of the array in an .npz, .safetensors or .pt file with several; of the images' column in "
        "Parquet, by default image",
    )
    norm: Literal["linf", "l2", "l0"] = Field(
        "linf", description="of its bound: linf: largest change of a value; l2: Euclidean; l0: pixels that change"
    )
    radius: float = Field(
        gt=0,
        description="of its bound: grey levels for linf, of an image scaled to [0, 1] for l2, pixels for l0; what is "
        "larger is refused",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Given:
        try:
            require_known(self.path)
        except UserError as error:
            raise PydanticCustomError("given", "{why}", {"why": str(error)}) from None
        if self.content == "images" and self.per == "class":
            raise PydanticCustomError("given", "content: images are one for each image; set per: image")
        largest = LARGEST.get(self.norm)
        if largest is not None and (not self.radius.is_integer() or self.radius > largest):
            what = {"norm": self.norm, "largest": largest}
            raise PydanticCustomError("given", "radius of {norm} must be a whole number up to {largest}", what)
        return self

    def bound(self, rho_u: int, shape: tuple[int, int, int]) -> Bound:
        """The norm and radius stated."""
        if self.norm == "l2":
            return bounds.l2(self.radius)
        return bounds.linf(int(self.radius)) if self.norm == "linf" else bounds.l0(int(self.radius))

    def misfit(self, shape: tuple[int, int, int], classes: int) -> tuple[str, str] | None:
        """A checksum must be stated, so that results follow the content of the file."""
        if self.sha256 is not None:
            return None
        try:
            found = checksum(located(self.path))
        except UserError as error:
            return "path", str(error)
        return "path", f"its checksum must be stated, sha256: {found} for the file as it is now"
