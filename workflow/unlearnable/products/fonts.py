"""Fonts for text from the configuration, in any script."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from matplotlib import font_manager
from matplotlib.font_manager import FontEntry, FontProperties
from matplotlib.ft2font import FT2Font

from unlearnable.errors import UserError

log = logging.getLogger(__name__)
FILES = (".ttf", ".otf", ".ttc", ".otc")
DEFAULT = "sans-serif"  # unless Matplotlib is configured otherwise, DejaVu Sans, which it brings along
UNREADABLE = (OSError, RuntimeError, NotImplementedError)  # what Matplotlib raises for fonts that it cannot use
SHOWN = 10  # largest number of characters that a warning names


def families(text: str, wanted: str | None, key: str) -> list[str]:
    """The fonts of a figure, in the order in which glyphs are looked up in them.

    The first is the wanted one, if any; then the default one; then installed ones with the characters that these lack.
    Characters that no font has are logged.

    Args:
        text: the text to write.
        wanted: name of an installed font, or path of a font file.
        key: the place of ``wanted`` in the configuration.

    Raises:
        UserError: there is no such font.
    """
    found = [DEFAULT] if wanted is None else [_family(wanted, key), DEFAULT]
    missing = set(text)
    for family in found:
        missing -= _covered(font_manager.findfont(FontProperties(family=[family])), missing)
    if missing:
        _add_new_fonts()
        fonts = [font for font in _fonts() if _covered(font.fname, missing)]
        while missing and fonts:
            best = max(fonts, key=lambda font: (len(_covered(font.fname, missing)), font.weight == 400))
            found.append(best.name)
            missing -= _covered(best.fname, missing)
            fonts = [font for font in fonts if _covered(font.fname, missing)]
    if missing:
        log.warning(
            "no installed font has %s: boxes are drawn instead; install one (for Chinese, Japanese and Korean, Noto "
            "Sans CJK), or give the path of a font file as %s",
            _named(missing),
            key,
        )
    return found


def one_line(text: str) -> str:
    """The text as one line without control characters."""
    return "".join(filter(str.isprintable, re.sub(r"\s", " ", text)))


def _family(wanted: str, key: str) -> str:
    """The name under which Matplotlib finds a font."""
    if Path(wanted).suffix.lower() in FILES:
        try:
            font_manager.fontManager.addfont(wanted)
            return FT2Font(wanted).family_name
        except UNREADABLE as error:
            raise UserError(f"{key}: {wanted}: not a font file ({error})") from error
    _add_new_fonts()
    try:
        font_manager.findfont(FontProperties(family=[wanted]), fallback_to_default=False)
    except ValueError as error:
        raise UserError(
            f"{key}: no font called {wanted!r} is installed; `fc-list : family` lists those that are, or give the path "
            f"of a font file ({', '.join(FILES)})"
        ) from error
    return wanted


def _add_new_fonts() -> None:
    """Make Matplotlib, which lists the fonts of a system once, find those installed since."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        with suppress(*UNREADABLE):  # nor does Matplotlib list these
            font_manager.fontManager.addfont(path)


def _fonts() -> list[FontEntry]:
    """The upright fonts, sans serif first, in a fixed order."""
    upright = [
        font
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and "lastresort" not in font.name.replace(" ", "").lower()  # which has only boxes
    ]
    return sorted(upright, key=lambda font: ("sans" not in font.name.lower(), font.fname))


def _covered(path: str, characters: Iterable[str]) -> set[str]:
    """The characters that a font file has glyphs for."""
    font = FT2Font(path)
    return {character for character in characters if font.get_char_index(ord(character))}


def _named(characters: set[str]) -> str:
    """Characters and their code points, the first few."""
    named = [f"{character} (U+{ord(character):04X})" for character in sorted(characters)]
    return ", ".join(named[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")
