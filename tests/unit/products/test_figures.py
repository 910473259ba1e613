"""Figures of made-up measurements: every one is written, says what it should, and reads in grey."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from pydantic import TypeAdapter, ValidationError

from unlearnable import files, registry
from unlearnable.datasets import shards
from unlearnable.datasets.protected import protected_rows
from unlearnable.datasets.split import Array, Split
from unlearnable.errors import UserError
from unlearnable.products.figure import STYLE, drawing, looks
from unlearnable.products.heat_map.figure import COLOURS, text_colour
from unlearnable.products.heat_map.settings import HeatMap
from unlearnable.products.noise_sheet.figure import _short, amplify, few_pixels
from unlearnable.products.noise_sheet.settings import NoiseSheet
from unlearnable.products.product import Inputs
from unlearnable.settings import Slug
from unlearnable.training.fit import write_history

from ..measured import Cell, figure_files, given, victim, write_metrics

Draw = Callable[..., str]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """``draw(figure, cells, **inputs)``: the SVG; all three formats are there, and are the same bytes each time.

    The cells are the victims, or for the noise sheet what it shows.
    """

    def drawn(figure: str, cells: list[Cell], **inputs: Any) -> str:
        written = []
        kind = "shown" if figure == "noise-sheet" else "victims"
        for run in range(2):
            out = figure_files(tmp_path, str(run))
            about = given(figure, {"width": 6.0, "dpi": 50}, **{kind: cells})
            registry.load_module("products", figure).write(about, Inputs(**inputs), out)
            written.append([path.read_bytes() for path in (out.pdf, out.svg, out.png)])
        starts = (b"%PDF", b"<?xml", b"\x89PNG")
        assert [data.startswith(start) for data, start in zip(written[0], starts, strict=True)] == [True] * 3
        assert written[0] == written[1]
        return written[0][1].decode()

    return drawn


def texts(svg: str) -> list[str]:
    """What the SVG writes, in order."""
    return re.findall(r"<!-- (.*?) -->", svg)


def victims(*methods: str, **axes: Any) -> list[Cell]:
    return [victim(method, seed, **axes) for method in methods for seed in (0, 1)]


# ---- styles


def test_noises_that_share_a_colour_differ_in_line_and_marker() -> None:
    chosen = looks([f"noise {number}" for number in range(13)])
    for (_, one), (_, other) in combinations(chosen.items(), 2):
        assert one["marker"] != other["marker"]
        assert one["color"] != other["color"] or one["linestyle"] != other["linestyle"]


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2)."""
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_the_colours_of_the_heat_map_grow_lighter_and_its_numbers_stand_out() -> None:
    cells = [luminance(mpl.colormaps[COLOURS](value / 100)) for value in range(101)]
    assert all(after > before - 1e-3 for before, after in pairwise(cells))
    for value, cell in enumerate(cells):
        low, high = sorted((cell, luminance(mpl.colors.to_rgb(text_colour(value)))))
        assert (high + 0.05) / (low + 0.05) > 4.5  # WCAG's bound for text


# ---- accuracy


def test_the_accuracy_figure_has_a_panel_for_each_countermeasure(draw: Draw, tmp_path: Path) -> None:
    cells = [cell for radius in (0, 2, 4) for cell in victims("clean", "em", "rem", radius=radius)]
    cells += victims("clean", "em", "rem", countermeasure="gray")
    written = texts(draw("accuracy-figure", cells, victims=write_metrics(tmp_path, cells, lambda cell: {})))
    assert [text for text in written if text in ("no counter-measure", "gray")] == ["no counter-measure", "gray"]
    assert "standard training" in written  # the panel of gray has no radius to spread over
    assert [name for name in written if name in ("clean", "EM 8", "REM 8-4")] == ["clean", "EM 8", "REM 8-4"]


@pytest.mark.parametrize(
    ("radii", "shown"),
    [((0, 4), "means, 95 % t intervals and all values of 2 seed(s)"), ((0, 2, 4), "mean ± s.d. of 2 seed(s)")],
)
def test_a_figure_of_one_panel_says_what_it_shows(
    draw: Draw, tmp_path: Path, radii: tuple[int, ...], shown: str
) -> None:
    cells = [cell for radius in radii for cell in victims("clean", "rem", radius=radius)]
    written = texts(draw("accuracy-figure", cells, victims=write_metrics(tmp_path, cells, lambda cell: {})))
    assert any(shown in " ".join(written[place : place + 2]) for place in range(len(written)))


def test_two_radii_are_groups_of_bars_with_every_seed_and_its_interval(draw: Draw, tmp_path: Path) -> None:
    cells = victims("clean", "rem") + victims("clean", "rem", radius=7)
    svg = draw("accuracy-figure", cells, victims=write_metrics(tmp_path, cells, lambda cell: {}))
    written = texts(svg)
    assert {"standard training", "adversarial training", "radius 7/255"} <= set(written)
    assert len(re.findall(r'<g id="LineCollection_\d+">', svg)) == 4  # the intervals


# ---- shares


@pytest.mark.parametrize(("passes", "shown"), [(440_000, True), (400, False)])
def test_the_fraction_figure_shows_published_numbers_for_the_published_budget(
    draw: Draw, tmp_path: Path, passes: int, shown: bool
) -> None:
    cells = victims("clean", radius=4)
    for share in (40, 80):
        cells += victims("rem", "clean", protected=share, radius=4)
    svg = draw(
        "fraction-figure", cells, victims=write_metrics(tmp_path, cells, lambda cell: {"training_passes": passes})
    )
    written = texts(svg)
    assert ("published" in written) == shown
    assert {"clean", "REM 8-4", "clean rest", "40", "80"} <= set(written)


# ---- heat map


def test_the_heat_map_has_the_order_of_the_ranking(draw: Draw, tmp_path: Path) -> None:
    accuracy = {"clean": 0.9, "em": 0.5, "ops": 0.15, "rem": 0.3}
    cells = victims(*accuracy) + victims(*accuracy, countermeasure="gray")

    def measure(cell: Cell) -> dict[str, Any]:
        return {"test_accuracy": accuracy[cell["method"]] + (0.05 if cell["countermeasure"] == "gray" else 0)}

    written = texts(draw("heat-map", cells, victims=write_metrics(tmp_path, cells, measure)))
    assert [name for name in written if name in ("OPS", "EM 8", "REM 8-4", "clean")] == [
        "OPS",
        "REM 8-4",
        "EM 8",
        "clean",
    ]
    assert [name for name in written if name in ("highest", "mean", "standard", "gray")] == [
        *("highest", "mean", "standard", "gray"),
    ]
    numbers = [text for text in written if re.fullmatch(r"\d+\.\d", text)]
    assert numbers[:4] == ["20.0", "17.5", "15.0", "20.0"]  # of OPS


# ---- curves


@pytest.mark.parametrize(("figure", "radii"), [("training-curves", (0, 1, 2, 3, 4)), ("loss-figure", (4,))])
def test_curves_have_two_panels_for_each_way_of_training(
    draw: Draw, tmp_path: Path, figure: str, radii: tuple[int, ...]
) -> None:
    cells = [cell for radius in radii for cell in victims("clean", "rem", radius=radius)]
    histories, metrics = [], []
    for number, cell in enumerate(cells):
        histories.append(tmp_path / f"{number}.parquet")
        metrics.append(tmp_path / f"{number}.json")
        rows = [
            {
                "step": step,
                "loss": 2.0 / step + cell["seed"],
                "batch_accuracy": 0.5,
                "passes": step,
                "test_accuracy": 0.4,
            }
            for step in range(10, 110, 10)
        ]
        write_history(histories[-1], rows)
        files.write_json(metrics[-1], {"files": files.hashes(histories[-1])})
    written = texts(draw(figure, cells, histories=histories, history_metrics=metrics))
    assert written.count("training step") == 2 * len(radii)
    assert written.count("REM 8-4") == 1
    assert any("radius 4/255" in text for text in written)
    write_history(histories[1], [{"step": 10, "loss": 1.0, "batch_accuracy": 0.5, "test_accuracy": 0.4}])
    with pytest.raises(UserError, match=r"1\.parquet: checksum mismatch: .*; delete .*1\.json and regenerate it: "):
        draw(figure, cells, histories=histories, history_metrics=metrics)


# ---- noise sheet


def test_a_bounded_noise_is_amplified_to_black_and_white() -> None:
    change = np.array([-8, 0, 4, 8]).reshape(1, 2, 2, 1)
    factor, image = amplify(change)
    assert factor == pytest.approx(127.5 / 8)
    assert image.ravel().tolist() == [0, 128, 191, 255]


def test_one_extreme_does_not_make_the_rest_of_an_unbounded_noise_grey() -> None:
    change = np.full((1, 32, 32, 3), 20)
    change[0, 0, 0, 0] = 200
    factor, image = amplify(change)
    assert factor == pytest.approx(127.5 / 20)
    assert (image == 255).all()


def test_no_change_is_grey() -> None:
    factor, image = amplify(np.zeros((1, 4, 4, 1), np.int16))
    assert factor == 1
    assert np.unique(image).tolist() == [128]


def test_lone_pixels_are_found_and_many_are_not() -> None:
    change = np.zeros((2, 4, 4, 3), np.int16)
    change[0, 1, 2, 0], change[1, 3, 0, 2] = 200, -200
    assert few_pixels(change).tolist() == [[0, 1, 2], [1, 3, 0]]
    change[1, :2] = 1
    assert few_pixels(change).size == 0


Sheet = Callable[..., list[str]]


@pytest.fixture
def sheet(draw: Draw, tmp_path: Path, make_split: Callable[..., Split]) -> Sheet:
    """``sheet(classes, channels=1)``: what a noise sheet of two noises on half of these classes' images says."""

    def written(classes: list[str], channels: int = 1) -> list[str]:
        rows = 10 * len(classes)
        images, labels = make_split(rows, channels=channels).images[:], np.arange(rows) % len(classes)
        protected = protected_rows(labels, 50, 0)

        def stored(name: str, images: Array, part: str) -> Path:
            _, hashes = shards.write(tmp_path / name / part, Split(images, labels, classes), 7)
            files.write_json(tmp_path / name / "manifest.json", {"classes": classes, "files": hashes})
            return tmp_path / name / "manifest.json"

        bounded, pixel = images.astype(np.int16), images.copy()
        bounded[protected] += 8
        pixel[protected, 3, 5] = 255 - images[protected, 3, 5]
        source = stored("source", images, "train")
        bounded_images = np.clip(bounded, 0, 255).astype(np.uint8)
        perturbed = [stored("rem", bounded_images, "shards"), stored("ops", pixel, "shards")]
        axes = ("dataset", "method", "rho_u", "rho_a", "seed", "protected")
        cells = [{axis: victim(method, protected=50)[axis] for axis in axes} for method in ("rem", "ops")]
        return texts(draw("noise-sheet", cells, shown=perturbed, clean=[source]))

    return written


@pytest.mark.parametrize("channels", [1, 3])
def test_the_noise_sheet_shows_every_noise_in_the_first_protected_images(sheet: Sheet, channels: int) -> None:
    classes = ["cat", "dog", "owl"]
    written = sheet(classes, channels)
    assert {"REM 8-4", "noise x16", "OPS", "protected", "original", *classes} <= set(written)


def test_class_names_are_not_read_as_mathematics(sheet: Sheet) -> None:
    classes = ["$$", "$x$", "a_b^c", r"\alpha", r"$\frac{", "{$_", "<b>&amp;"]
    with mpl.rc_context({"text.usetex": True}):  # as a matplotlibrc of the user may say
        written = sheet(classes)
    assert [html.unescape(text) for text in written if html.unescape(text) in classes] == classes


@pytest.mark.parametrize("name", ["a$b", "a_b", "a\\b", "a%b", "a^b", "a\nb", "猫"])
def test_no_other_name_in_a_figure_or_table_can_have_such_characters(name: str) -> None:
    with pytest.raises(ValidationError, match="should match pattern"):
        TypeAdapter(Slug).validate_python(name)  # of datasets, experiments, methods, counter-measures and networks


def test_a_class_name_of_several_lines_or_with_control_characters_is_one_line(sheet: Sheet) -> None:
    assert {"a b", "[2Jc", "ddd"} <= set(sheet(["a\nb", "\x1b[2Jc", "d\u200bd\x00d", "e"]))


def test_names_are_cut_to_their_width() -> None:
    assert [_short("abcdef", width) for width in (6, 5, 1, 0)] == ["abcdef", "abcd…", "…", "…"]
    assert [_short("猫頭鷹", width) for width in (6, 5, 4, 2)] == ["猫頭鷹", "猫頭…", "猫…", "…"]
    assert _short("", 0) == ""


# ---- fonts


def font_file(path: Path, family: str, characters: str) -> Path:
    """A TrueType font whose glyphs are triangles."""
    pen = TTGlyphPen(None)
    for number, point in enumerate([(100, 0), (900, 0), (500, 800)]):
        (pen.lineTo if number else pen.moveTo)(point)
    pen.closePath()
    glyph, names = pen.glyph(), {ord(character): f"uni{ord(character):04X}" for character in characters}
    builder = FontBuilder(1000)
    order = [".notdef", *names.values()]
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf(dict.fromkeys(order, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(order, (1000, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": family, "styleName": "Regular", "psName": family})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return path


Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(*paths)``: from now on these are the fonts of the system."""
    own = [font for font in font_manager.fontManager.ttflist if mpl.get_data_path() in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)

    def installed(*paths: Path) -> None:
        monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(path) for path in paths])

    return installed


def test_text_that_matplotlibs_own_font_has_is_drawn_as_ever(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font_manager, "findSystemFonts", None)  # not even looked for
    assert drawing(NoiseSheet(), "cat, dog: größer ± 1…") == STYLE


def test_names_in_other_scripts_are_drawn_with_fonts_that_have_them(
    sheet: Sheet, install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"not a font")
    some, more = font_file(tmp_path / "a.ttf", "Some", "猫"), font_file(tmp_path / "b.ttf", "More", "猫犬")
    install(tmp_path / "broken.ttf", some, more, font_file(tmp_path / "c.ttf", "Third", "ก"))
    families = drawing(NoiseSheet(), "cat 猫犬ก")["font.family"]
    assert families == ["sans-serif", "More", "Third"]
    assert {"cat", "猫犬", "ก"} <= set(sheet(["cat", "猫犬", "ก"]))
    svg, pdf = (tmp_path / "0.svg").read_text(), (tmp_path / "0.pdf").read_bytes()
    assert 'id="More-' in svg
    assert 'id="Third-' in svg
    assert b"LastResort" not in pdf
    assert caplog.records == []


def test_a_missing_font_is_named_once(
    sheet: Sheet, install: Install, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    install()
    sheet(["cat", "猫犬"])
    messages = [record.getMessage() for record in caplog.records]
    assert len(set(messages)) == 1
    assert len(messages) == 2  # the figure is drawn twice
    assert messages[0].startswith(
        "no installed font has 犬 (U+72AC), 猫 (U+732B): boxes are drawn instead; install one"
    )
    assert messages[0].endswith("as render.noise_sheet.font")
    assert [str(warning.message) for warning in recwarn] == []


def test_a_font_can_be_chosen_by_name_or_by_file(install: Install, tmp_path: Path) -> None:
    file = font_file(tmp_path / "a.ttf", "Chosen", "猫")
    install(file)
    assert drawing(NoiseSheet(font="Chosen"), "猫")["font.family"] == ["Chosen", "sans-serif"]
    install()
    assert drawing(NoiseSheet(font=str(file)))["font.family"] == ["Chosen", "sans-serif"]
    assert drawing(HeatMap(font="DejaVu Serif"))["font.family"] == ["DejaVu Serif", "sans-serif"]


def test_a_font_that_does_not_exist_is_one_line(install: Install, tmp_path: Path) -> None:
    install()
    with pytest.raises(
        UserError, match=r"^render\.heat_map\.font: no font called 'Nowhere' is installed; .* path of a"
    ):
        drawing(HeatMap(font="Nowhere"))
    for path in (tmp_path / "absent.ttf", tmp_path / "broken.otf"):
        (tmp_path / "broken.otf").write_bytes(b"not a font")
        with pytest.raises(UserError, match=rf"^render\.heat_map\.font: {path}: not a font file \("):
            drawing(HeatMap(font=str(path)))
