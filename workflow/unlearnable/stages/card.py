"""The data card of a release, for those who get it."""

from __future__ import annotations

from collections.abc import Sequence

from unlearnable.errors import printable
from unlearnable.stages.settings.release import ReleaseSettings

NOT_AUDITED = "- This release was not audited: how much it protects was not measured.\n"
ESCAPED = "\\`*_{}[]<>#|"


def card(
    settings: ReleaseSettings, counts: Sequence[tuple[str, int]], largest_change: int, survival: float | None
) -> str:
    """The text of ``README.md``.

    Args:
        settings: of the release.
        counts: images of each class.
        largest_change: of any value of any image, in grey levels.
        survival: smallest share of an image's noise that is left after JPEG; None if no image is a JPEG.
    """
    dated = f", {_plain(settings.date)}" if settings.date else ""
    licence = _plain(settings.licence) if settings.licence else "not stated; ask whoever gave you these images"
    classes = "\n".join(f"| {_plain(name)} | {count} |" for name, count in counts)
    if survival is None:
        bound = (
            f"No value of any pixel differs from the original by more than {settings.bound.radius} of 255 grey levels."
        )
    else:
        bound = (
            f"The noise is within {settings.bound.radius} of 255 grey levels. JPEG adds changes of its own, so no "
            f"bound is promised for JPEG files: at least {100 * survival:.0f} % of each image's noise is left in them."
        )
    return f"""# {settings.name}

{sum(count for _, count in counts)} protected images{dated}. Licence: {licence}.

Each image carries a faint pattern that hides what tells the classes apart from a network that trains on these files
(an unlearnable example). {bound} The largest change measured in the decoded files is {largest_change}.

| class | images |
|---|---|
{classes}

- `images/` has the images under their original paths and names; `images.csv` lists file, label, checksum, largest
  change and peak signal-to-noise ratio (in decibels), and for some images of each class their structural similarity and
  the share of the noise that is left after JPEG and scaling; `parquet/` has the same images for `datasets` and pandas.
- `sha256sum -c SHA256SUMS` checks every file; `unlearnable verify` also checks the counts and the bound.

## Limits

- All copies must be protected: whoever finds the originals trains on those.
- A protected share of 80 % is not enough: the unprotected rest suffices to train on.
- Strong compression, filters and training against an adversary weaken the protection.
{NOT_AUDITED}"""


def _plain(text: str) -> str:
    """Text of an owner's choice in one line, without meaning in Markdown."""
    return "".join(f"\\{each}" if each in ESCAPED else each for each in printable(text))
