"""An experiment's references and its primary comparison must name what the experiment has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from unlearnable.errors import UserError
from unlearnable.products.product import validate_given
from unlearnable.study.products import config
from unlearnable.study.study import Study

NOISES = ["{method: clean}", "{method: em, rho_u: [8, 16]}", "{method: rem, rho_u: [8], rho_a: [4]}"]
STUDY = """\
run: [own]
datasets:
  mine: {{kind: folder, root: photos, image_size: 32, classes: [cat, dog, owl]}}
methods: {{clean: {{algorithm: clean}}, em: {{algorithm: em}}, rem: {{algorithm: rem}}}}
countermeasures: {{none: {{kind: none}}, gray: {{kind: grayscale}}}}
victim: {{default: {{steps: 250}}}}
experiments:
  own:
    datasets: [mine]
    noises: [{noises}]
    victims: {{networks: [resnet18], radii: {radii}, countermeasures: {countermeasures}}}
    seeds: {seeds}
    products: [comparison-table]
    {named}
"""
REM, EM = "{method: rem, rho_u: 8, rho_a: 4}", "{method: em, rho_u: 8}"


def study(folder: Path, named: str = "", noises: list[str] = NOISES, **axes: str) -> Study:
    lists = {"radii": "[0, 4]", "countermeasures": "[none]", "seeds": "[0, 1]"} | axes
    path = folder / "study.yaml"
    path.write_text(STUDY.format(named=named, noises=", ".join(noises), **lists))
    return Study(yaml.safe_load(path.read_text()), [path], folder)


def fault(folder: Path, *arguments: Any, **axes: Any) -> str:
    with pytest.raises(UserError) as caught:
        study(folder, *arguments, **axes)
    return str(caught.value).removeprefix(f"{folder}/study.yaml:")


def told(study: Study, product: str = "comparison-table") -> dict[str, Any]:
    given: dict[str, Any] = validate_given(config(study, "own", product)).model_dump()
    return given


def test_axes_that_an_experiment_has_one_of_need_not_be_named(tmp_path: Path) -> None:
    named = f"primary: {{noise: {REM}, reference: {EM}, radius: 4}}"
    comparisons = told(study(tmp_path, named))["comparisons"]
    assert comparisons["primary"] == {
        "noise": {"method": "rem", "rho_u": 8, "rho_a": 4},
        "reference": {"method": "em", "rho_u": 8, "rho_a": 0},
        **{"dataset": "mine", "network": "resnet18", "protected": 100, "countermeasure": "none", "radius": 4},
    }
    assert [each["method"] for each in comparisons["references"]] == ["clean", "em"]


def test_the_reference_of_the_primary_comparison_comes_before_other_noises(tmp_path: Path) -> None:
    named = f"references: [{REM}]\n    primary: {{noise: {REM}, reference: {EM}, radius: 0}}"
    references = told(study(tmp_path, named))["comparisons"]["references"]
    assert [each["method"] for each in references] == ["clean", "em", "rem"]


def test_a_product_is_given_the_number_of_classes_and_the_budgets(tmp_path: Path) -> None:
    given = told(study(tmp_path))
    assert given["classes"] == {"mine": 3}
    assert given["budgets"]["mine"]["resnet18"]["steps"] == 250
    assert given["comparisons"] == {"references": [{"method": "clean", "rho_u": 0, "rho_a": 0}], "primary": None}


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "references: [{method: em, rho_u: 9}]",
            "references.0: no such noise in this experiment; known: {method: em, rho_u: 8}, {method: em, rho_u: 16}",
        ),
        (
            "references: [{method: sem, rho_u: 8}]",
            "references.0: no such noise in this experiment; known: {method: clean}, {method: em, rho_u: 8}, "
            "{method: em, rho_u: 16}, {method: rem, rho_u: 8, rho_a: 4}",
        ),
        (
            "primary: {noise: {method: rem, rho_u: 8}, radius: 4}",
            "primary.noise: no such noise in this experiment; known: {method: rem, rho_u: 8, rho_a: 4}",
        ),
        ("primary: {noise: {method: clean}}", "primary.noise: must be a noise; clean images can be its reference"),
        (f"primary: {{noise: {EM}, reference: {EM}}}", "primary.reference: must not be the noise itself"),
        (f"primary: {{noise: {EM}}}", "primary: must say which radius, one of 0, 4"),
        (f"primary: {{noise: {EM}, radius: 8}}", "primary.radius: no victim of this noise has it; known: 0, 4"),
        (
            f"primary: {{noise: {EM}, radius: 4, network: vgg16-bn}}",
            "primary.network: no victim of this noise has it; known: resnet18",
        ),
    ],
)
def test_a_comparison_that_the_experiment_does_not_have_is_one_line(tmp_path: Path, named: str, said: str) -> None:
    assert fault(tmp_path, named) == f"14: experiments.own.{said}"


def test_a_product_without_anything_to_compare_is_refused(tmp_path: Path) -> None:
    needed = "add {method: clean} to its noises, or name references"
    said = f"comparison-table has nothing to compare in this experiment: {needed}"
    for noises in (NOISES[:1], NOISES[1:]):
        assert fault(tmp_path, noises=noises) == f"13: experiments.own.products.0: {said}"
    assert study(tmp_path, f"references: [{EM}]", NOISES[1:])


def test_a_product_with_too_few_datasets_is_refused(tmp_path: Path) -> None:
    described = STUDY.replace("[comparison-table]", "[audit-table]").format(
        named="", noises=NOISES[0], radii="[0]", countermeasures="[none]", seeds="[0]"
    )
    with pytest.raises(UserError, match="audit-table needs 2 datasets"):
        Study(yaml.safe_load(described), [], tmp_path)


def test_more_seeds_than_an_exact_test_takes_are_refused(tmp_path: Path) -> None:
    said = "comparison-table takes at most 40 noise seeds, because its tests are exact"
    assert fault(tmp_path, seeds=str([*range(41)])) == f"13: experiments.own.products.0: {said}"
    assert study(tmp_path, seeds=str([*range(40)]))
