"""From experiments to cells: what is computed once, and what each cell depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from unlearnable import registry
from unlearnable.errors import UserError
from unlearnable.settings import plain
from unlearnable.study import products
from unlearnable.study.cells import VICTIM, Noise, Perturbed, Victim, cell, path, perturbed_of
from unlearnable.study.faults import DEFAULTS
from unlearnable.study.recipes import Recipes
from unlearnable.study.study import Study

ROOT = Path(__file__).parents[3]
MINI = [ROOT / "config" / name for name in (*DEFAULTS, "studies/paper-mini.yaml")]


def study(**experiment: Any) -> Study:
    """The miniature's settings with one experiment of the test's own."""
    config: dict[str, Any] = {}
    for file in MINI:
        update_config(config, yaml.safe_load(file.read_text()))
    own = {"datasets": ["mini"], "products": ["accuracy-table"]} | experiment
    return Study(config | {"run": ["own"], "experiments": {"own": own}}, MINI, ROOT)


def faults(**experiment: Any) -> str:
    with pytest.raises(UserError) as refused:
        study(**experiment)
    return str(refused.value)


REM = {"method": "rem", "rho_u": [8], "rho_a": [4]}


def test_with_nothing_protected_every_noise_is_the_one_clean_reference() -> None:
    cells = study(noises=[{"method": "clean"}, REM], protected=[0, 100], victims={"radii": [4]}).victims("own")
    assert [(c.method, c.rho_u, c.protected) for c in cells] == [("clean", 0, 0), ("rem", 8, 100)]


def test_the_clean_rest_is_one_dataset_for_all_noises_and_follows_the_seed() -> None:
    noises = [{"method": "em", "rho_u": [8]}, REM]
    own = study(noises=noises, protected=[0, 40, 100], clean_rest=True, seeds=[0, 1], victims={"radii": [0]})
    rest = [cell for cell in own.victims("own") if cell.method == "clean" and cell.protected]
    assert [(c.protected, c.seed) for c in rest] == [(40, 0), (40, 1)]
    assert [perturbed_of(c) for c in rest] == [Perturbed("mini", "clean", 0, 0, seed, 40) for seed in (0, 1)]
    assert own.noises("own") == [cell for cell in own.noises("own") if cell.method != "clean"]


def test_all_clean_images_are_written_once_for_all_seeds() -> None:
    own = study(noises=[{"method": "clean"}], seeds=[0, 1], victims={"radii": [0]})
    assert own.perturbed("own") == [Perturbed("mini", "clean", 0, 0, 0, 0)]
    assert len(own.victims("own")) == 2


def test_crossed_seeds_are_all_combinations_and_clean_images_have_one_victim_for_each_victim_seed() -> None:
    noises = [{"method": "clean"}, {"method": "em", "rho_u": [8]}]
    seeds = {"noise": [3, 4], "victim": [0, 3, 9]}
    own = study(noises=noises, seeds=seeds, victims={"radii": [0]})
    found = [(c.method, c.seed, c.victim_seed) for c in own.victims("own")]
    assert found == [
        *[("clean", each, each) for each in (0, 3, 9)],
        *[("em", seed, each) for seed in (3, 4) for each in (0, 3, 9)],
    ]
    assert [cell.seed for cell in own.noises("own")] == [3, 4]
    assert [cell.seed for cell in own.sources("own")] == [3, 4]
    assert [(cell.method, cell.seed) for cell in own.perturbed("own")] == [("clean", 0), ("em", 3), ("em", 4)]
    assert {own.victim_settings(cell).seed for cell in own.victims("own") if cell.seed == 4} == {0, 3, 9}


def test_the_clean_rest_is_of_a_noise_seed_because_the_choice_of_images_is() -> None:
    seeds = {"noise": [0, 1], "victim": [5, 6]}
    noises = [{"method": "em", "rho_u": [8]}]
    own = study(noises=noises, protected=[40], clean_rest=True, seeds=seeds, victims={"radii": [0]})
    rest = [(c.seed, c.victim_seed) for c in own.victims("own") if c.method == "clean"]
    assert rest == [(0, 5), (0, 6), (1, 5), (1, 6)]


def test_a_group_of_victims_may_have_seeds_of_its_own() -> None:
    groups = [{"radii": [0], "seeds": [1]}, {"radii": [4]}, {"radii": [8], "seeds": {"noise": [2], "victim": [2, 7]}}]
    own = study(noises=[{"method": "clean"}, {"method": "em", "rho_u": [8]}], seeds=[0, 1], victims=groups)
    found = [(c.method, c.radius, c.seed, c.victim_seed) for c in own.victims("own")]
    assert found == [
        *[("clean", 0, 1, 1), ("clean", 4, 0, 0), ("clean", 4, 1, 1), ("clean", 8, 2, 2), ("clean", 8, 7, 7)],
        *[("em", 0, 1, 1), ("em", 4, 0, 0), ("em", 4, 1, 1), ("em", 8, 2, 2), ("em", 8, 2, 7)],
    ]
    assert [cell.seed for cell in own.noises("own")] == [1, 0, 2]
    assert own.settings.experiments["own"].noise_seeds == [1, 0, 2]


def test_seeds_of_a_group_that_make_no_sense_are_one_line_of_fault() -> None:
    (line,) = faults(noises=[REM], victims=[{"radii": [0], "seeds": [3, 3]}]).splitlines()
    assert "experiments.own.victims.0.seeds: 3 is listed twice" in line


def test_a_crossed_victim_with_equal_seeds_is_that_of_a_list() -> None:
    noises = [{"method": "clean"}, {"method": "em", "rho_u": [8]}]
    listed = study(noises=noises, seeds=[3], victims={"radii": [0]})
    crossed = study(noises=noises, seeds={"noise": [3], "victim": [3, 1]}, victims={"radii": [0]})
    assert set(listed.victims("own")) < set(crossed.victims("own"))
    recipes = [Recipes(each).victim(listed.victims("own")[-1]).recipe for each in (listed, crossed)]
    assert recipes[0] == recipes[1]
    assert [path(VICTIM, cell).rpartition("/")[2] for cell in crossed.victims("own")] == ["s3", "s1", "s3", "s3-v1"]


def test_a_victim_is_found_again_by_the_wildcards_of_its_path() -> None:
    axes = {"dataset": "mini", "method": "em", "rho_u": "8", "rho_a": "0", "protected": "100"}
    axes |= {"network": "small-cnn", "countermeasure": "none", "radius": "0"}
    for seeds, wanted in (("3", (3, 3)), ("3-v1", (3, 1)), ("3-v0", (3, 0))):
        found = cell(Victim, axes | {"seeds": seeds})
        assert (found.seed, found.victim_seed) == wanted
        assert path(VICTIM, found) == f"results/victim/mini/em/u8-a0/p100/small-cnn/none/r0/s{seeds}"


def test_two_victims_of_a_noise_share_all_but_their_training() -> None:
    own = study(noises=[REM], seeds={"noise": [0], "victim": [1, 2]}, victims={"radii": [0]})
    one, other = (Recipes(own).victim(each) for each in own.victims("own"))
    assert one.recipe.inputs == other.recipe.inputs
    assert one.recipe.settings | {"seed": 2} == other.recipe.settings
    assert one.recipe.key != other.recipe.key


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "experiments.own.seeds: "),
        ([0, 1, 0], "experiments.own.seeds: 0 is listed twice; list each seed once"),
        ([0, -1], "experiments.own.seeds.1: "),
        (3, "experiments.own.seeds: "),
        ({"noise": [0]}, "experiments.own.seeds.victim: this key is required"),
        ({"noise": [0], "victim": []}, "experiments.own.seeds.victim: "),
        ({"noise": [0, 0], "victim": [1]}, "experiments.own.seeds.noise: 0 is listed twice; list each seed once"),
        ({"noise": [0], "victim": [1, -2]}, "experiments.own.seeds.victim.1: "),
        ({"noise": [0], "victims": [1], "victim": [1]}, "experiments.own.seeds.victims: unknown key; did you mean"),
    ],
)
def test_seeds_that_make_no_sense_are_one_line_of_fault(seeds: Any, message: str) -> None:
    (line,) = faults(noises=[REM], seeds=seeds).splitlines()
    assert message in line


def test_groups_of_victims_are_joined_and_not_multiplied() -> None:
    groups = [
        {"networks": ["small-cnn"], "radii": [0, 4]},
        {"networks": ["small-cnn"], "countermeasures": ["none", "jpeg10"], "radii": [0]},
        {"networks": ["small-cnn"], "countermeasures": ["trades"], "radii": [4]},
    ]
    cells = study(noises=[REM], victims=groups).victims("own")
    assert [(c.countermeasure, c.radius) for c in cells] == [("none", 0), ("none", 4), ("jpeg10", 0), ("trades", 4)]


@pytest.mark.parametrize("method", ["lsp", "ops", "ar", "cuda"])
def test_a_noise_without_a_network_has_no_source_model_and_no_radius(method: str) -> None:
    own = study(noises=[{"method": method}])
    (cell,) = own.noises("own")
    assert (cell.rho_u, cell.rho_a) == (0, 0)
    assert own.source_of(cell) is None
    assert own.sources("own") == []
    assert own.noise_settings(cell).network is None
    assert "no such radius" in faults(noises=[{"method": method, "rho_u": [8]}])


def test_tap_shares_the_clean_training_of_its_seed() -> None:
    own = study(noises=[{"method": "tap", "rho_u": [8, 16]}, {"method": "tap-fu2022", "rho_u": [8]}], seeds=[0, 1])
    assert own.sources("own") == [Noise("mini", "clean", 0, 0, seed) for seed in (0, 1)]


SHUFFLED = {"methods": {"shuffled": {"algorithm": "shuffled", "of": "rem", "among": "same-class"}}}


def shuffling(change: dict[str, Any], *noises: dict[str, Any], **experiment: Any) -> Study:
    """The miniature's settings with a method that shuffles REM's noise, and one experiment."""
    own = {"datasets": ["mini"], "noises": list(noises), "products": ["accuracy-table"]} | experiment
    return Study(laid_over(SHUFFLED | {"run": ["own"], "experiments": {"own": own}}, change), MINI, ROOT)


def test_a_shuffled_noise_is_made_of_the_other_at_its_radii_and_seed() -> None:
    own = shuffling({}, {"method": "shuffled", "rho_u": [8], "rho_a": [2, 4]}, seeds=[0, 1])
    cells = [Noise("mini", "shuffled", 8, rho_a, seed) for rho_a in (2, 4) for seed in (0, 1)]
    bases = [Noise("mini", "rem", cell.rho_u, cell.rho_a, cell.seed) for cell in cells]
    assert [own.made_of(cell) for cell in cells] == bases
    assert own.noises("own") == [each for pair in zip(bases, cells, strict=True) for each in pair]
    assert own.sources("own") == bases
    assert {cell.method for cell in own.perturbed("own")} == {"shuffled"}
    assert [own.source_of(cell) for cell in cells] == [None] * 4
    assert [own.made_of(cell) for cell in bases] == [None] * 4


def starting(start: dict[str, Any], *noises: dict[str, Any], **methods: Any) -> Study:
    """The miniature's settings with a method sem-own that starts from another's noise, and one experiment."""
    own = {"datasets": ["mini"], "noises": list(noises), "products": ["accuracy-table"], "seeds": [0, 1]}
    added = {"sem-own": {"algorithm": "sem", **start}, **methods}
    return Study(laid_over({"methods": added, "run": ["own"], "experiments": {"own": own}}, {}), MINI, ROOT)


def test_a_noise_may_start_from_another_at_its_radius_and_seed() -> None:
    start = {"start": {"noise": "em"}}
    shuffled = {"algorithm": "shuffled", "of": "sem-own"}
    given = [{"method": name, "rho_u": [8], "rho_a": [4]} for name in ("sem-own", "shuffled")]
    own = starting(start, *given, shuffled=shuffled)
    cells = [Noise("mini", "sem-own", 8, 4, seed) for seed in (0, 1)]
    bases = [Noise("mini", "em", 8, 0, seed) for seed in (0, 1)]
    assert [own.start_of(cell) for cell in cells] == [own.base_of(cell) for cell in cells] == bases
    assert [own.made_of(cell) for cell in cells] == [None, None]
    assert [own.start_of(cell) for cell in bases] == [None, None]
    shuffles = [replace(cell, method="shuffled") for cell in cells]
    assert own.noises("own") == [*bases[:1], *cells[:1], *bases[1:], *cells[1:], *shuffles]
    assert own.sources("own") == [bases[0], cells[0], bases[1], cells[1]]
    recipes = Recipes(own)
    merged = recipes.merge_noise(bases[0]).recipe.key
    for planned in (recipes.source_model(cells[0]), recipes.noise(cells[0], 0, 1)):
        assert planned.recipe.inputs["base"] == [merged]


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (
            {"start": {"noise": "emm"}},
            r"methods\.sem-own\.start\.noise: method 'emm' is not defined; did you mean 'em'",
        ),
        ({"start": {"noise": "rem"}}, r"start\.noise: 'rem' does not have exactly the radius rho_u"),
        ({"start": {"noise": "clean"}}, r"start\.noise: 'clean' does not have exactly the radius rho_u"),
        ({"start": {"noise": "sem-own"}}, r"start\.noise: 'sem-own' needs the noise of another method itself"),
        ({"start": "pil"}, r"methods\.sem-own\.start"),
        ({"expectation": "jpg"}, r"methods\.sem-own\.expectation: "),
        ({"expectation": ["none", "jpg"]}, r"methods\.sem-own\.expectation\.1: "),
        ({"start": {"method": "em"}}, r"methods\.sem-own\.start.*method: unknown key"),
        (
            {"start": {"noise": "em"}, "by_dataset": {"mini": {"start": "random"}}},
            r"by_dataset\.mini\.start: must name the same noise, or none",
        ),
    ],
)
def test_a_start_that_cannot_be_is_one_line_of_fault(start: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        starting(start, {"method": "sem-own", "rho_u": [8], "rho_a": [4]})
    assert len([line for line in str(refused.value).splitlines() if "sem-own" in line]) == 1


PARTS = {
    name: {"kind": "class-subset", "of": "fashion-mini", "image_size": 28, "channels": 1, "classes": classes}
    for name, classes in (("first", ["T-shirt/top", "Trouser"]), ("last", ["Bag", "Ankle boot"]))
}


def pretrained(change: dict[str, Any] | None = None, **measure: Any) -> Study:
    """The miniature's settings with victims on two classes that start from those of two others."""
    own = {
        "datasets": ["last"],
        "noises": [{"method": "clean"}, {"method": "ops"}],
        "victims": {"networks": ["small-cnn"], "countermeasures": ["none", "started"], "radii": [0, 4]},
        "seeds": {"noise": [1], "victim": [1, 2]},
        "products": ["accuracy-table"],
    }
    added = {"datasets": PARTS, "countermeasures": {"started": {"kind": "pretrained", "of": "first"} | measure}}
    return Study(laid_over(added | {"run": ["own"], "experiments": {"own": own}}, change or {}), MINI, ROOT)


def test_a_pretrained_victim_starts_from_the_clean_victim_of_its_seed_on_the_other_classes() -> None:
    own = pretrained()
    started = [each for each in own.victims("own") if each.countermeasure == "started"]
    starts = {seed: Victim("first", "clean", 0, 0, seed, 0, "small-cnn", "none", 0, seed) for seed in (1, 2)}
    assert {own.start_of_victim(each) for each in started} == set(starts.values())
    assert all(own.start_of_victim(each) == starts[each.victim_seed] for each in started)
    others = [each for each in own.trained("own") if each not in own.victims("own")]
    assert sorted(others, key=lambda each: each.seed) == [starts[1], starts[2]]
    assert {each.dataset for each in own.perturbed("own")} == {"last"}
    recipes = Recipes(own)
    planned = recipes.victim(started[0])
    start = starts[started[0].victim_seed]
    assert planned.recipe.inputs["start"] == [recipes.victim(start).recipe.key]
    assert planned.recipe.settings["countermeasure"]["file"] == f"{path(VICTIM, start)}/model.safetensors"
    assert "start" not in recipes.victim(start).recipe.inputs


def test_a_part_of_a_composed_counter_measure_may_start_from_another_victim() -> None:
    both = {"countermeasures": {"both": {"kind": "composed", "of": ["started", "jpeg10"]}}}
    group = {"networks": ["small-cnn"], "countermeasures": ["both"], "radii": [0]}
    own = pretrained(both | {"experiments": {"own": {"victims": group}}})
    victim = own.victims("own")[0]
    start = own.start_of_victim(victim)
    assert start is not None
    first = own.victim_settings(victim).countermeasure.model_dump()["of"][0]
    assert (first["kind"], first["file"]) == ("pretrained", f"{path(VICTIM, start)}/model.safetensors")


@pytest.mark.parametrize(
    ("measure", "change", "message"),
    [
        ({"of": "frist"}, {}, "'started' starts from dataset 'frist', which is not defined; did you mean 'first'"),
        ({"file": "a.safetensors"}, {}, "'started' names both a dataset (of) and a file to start from; leave one"),
        ({"of": "last"}, {}, "'started' starts from 'last', which is the dataset of its victims; name another"),
        ({"of": "photo-crops"}, {}, "whose images are 32x32x3, but those of 'last' are 28x28x1"),
        (
            {},
            {"victim": {"by_dataset": {"first": {"stem": "imagenet"}}}},
            "starts from 'first', where small-cnn has the stem imagenet, but on 'last' it has cifar",
        ),
        ({}, {"datasets": {"last": {"of": "minni"}}}, "datasets.last.of: dataset 'minni' is not defined"),
        ({}, {"datasets": {"last": {"of": "first"}}}, "datasets.last.of: 'first' is itself a part of a dataset"),
        ({}, {"datasets": {"last": {"classes": ["Bag", "Hat"]}}}, "'Hat' is no class of the dataset it is a part of"),
    ],
)
def test_a_start_that_does_not_fit_is_one_line_of_fault(
    measure: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        pretrained(change, **measure)
    assert [line for line in str(refused.value).splitlines() if message in line]


def test_a_shuffled_noise_has_the_radii_and_the_bound_of_the_other() -> None:
    wanted = r"experiments\.own\.noises\.0\.rho_a: shuffled needs a list of radii"
    with pytest.raises(UserError, match=wanted):
        shuffling({}, {"method": "shuffled", "rho_u": [8]})
    for other, noise, bound in (("rem", {"rho_u": [8], "rho_a": [4]}, "linf"), ("ops", {}, "l0"), ("cuda", {}, "none")):
        own = shuffling({"methods": {"shuffled": {"of": other}}}, {"method": "shuffled"} | noise)
        cell = own.noises("own")[-1]
        assert cell.method == "shuffled"
        assert own.noise_settings(cell).bound == own.noise_settings(own.noises("own")[0]).bound
        assert own.perturbed_settings(Perturbed(**vars(cell), protected=100)).bound.norm == bound


def test_a_shuffled_noise_is_made_again_with_the_noise_that_it_is_made_of() -> None:
    noise = {"method": "shuffled", "rho_u": [8], "rho_a": [4]}

    def key(change: dict[str, Any]) -> str:
        study = shuffling(change, noise)
        planned = Recipes(study).noise(study.noises("own")[-1], 0, 1)
        assert [each.file for each in planned.made_from["base"]] == ["results/noise/mini/rem/u8-a4/s0/manifest.json"]
        return planned.recipe.key

    assert key({}) == key({"methods": {"em": {"k_u": 3}}})
    assert key({}) != key({"methods": {"rem": {"by_dataset": {"mini": {"k_u": 4}}}}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"of": "remm"}, r"methods\.shuffled\.of: method 'remm' is not defined; did you mean 'rem'\?"),
        ({"of": "clean"}, r"methods\.shuffled\.of: 'clean' makes no noise of its own; name a method that does"),
        ({"of": "em-shuffled"}, r"methods\.shuffled\.of: 'em-shuffled' makes no noise of its own"),
        ({"of": "shuffled"}, r"methods\.shuffled\.of: 'shuffled' makes no noise of its own"),
        (
            {"by_dataset": {"mini": {"of": "em"}}},
            r"methods\.shuffled\.by_dataset\.mini\.of: must be the same for all datasets",
        ),
        ({"among": "other"}, r"methods\.shuffled\.among: "),
    ],
)
def test_a_noise_that_cannot_be_shuffled_is_refused_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        shuffling({"methods": {"shuffled": change}}, {"method": "shuffled", "rho_u": [8], "rho_a": [4]})
    assert len(str(refused.value).splitlines()) == 1


def test_the_controls_of_the_default_study_are_marked_as_such() -> None:
    default = default_study()
    assert {name for name in default.settings.methods if default.layers.method("", name).control} == {
        "random",
        "em-shuffled",
    }


@pytest.mark.parametrize(
    ("noise", "bound"),
    [
        ({"method": "em", "rho_u": [8]}, {"norm": "linf", "radius": 8, "unit": "1/255"}),
        ({"method": "ops"}, {"norm": "l0", "radius": 1, "unit": "pixel(s)"}),
        ({"method": "ar"}, {"norm": "l2", "radius": 1.0, "unit": "of [0, 1]"}),
        ({"method": "cuda"}, {"norm": "none", "radius": 0.0, "unit": "1/255"}),
    ],
)
def test_each_published_dataset_states_the_bound_of_its_noise(noise: dict[str, Any], bound: dict[str, Any]) -> None:
    own = study(noises=[noise])
    (cell,) = own.noises("own")
    assert own.noise_settings(cell).bound.plain() == bound
    assert own.perturbed_settings(Perturbed(**vars(cell), protected=100)).bound.plain() == bound


def test_a_victim_depends_on_its_own_counter_measure_alone() -> None:
    own = study(noises=[REM])
    cell = Victim("mini", "rem", 8, 4, 0, 100, "small-cnn", "jpeg10", 0, 0)
    assert plain(own.victim_settings(cell))["countermeasure"] == {"kind": "jpeg", "quality": 10}


def default_study() -> Study:
    """The default study, which holds the paper's experiments."""
    files = [ROOT / "config" / name for name in DEFAULTS]
    config: dict[str, Any] = {}
    for file in files:
        update_config(config, yaml.safe_load(file.read_text()))
    return Study(config, files, ROOT)


def test_vgg_and_densenet_start_as_in_fu_et_als_code_and_every_other_network_as_pytorch_has_it() -> None:
    default = default_study()
    cells = [Victim("cifar10", "clean", 0, 0, 0, 0, name, "none", 0, 0) for name in registry.available("networks")]
    found = {cell.network: default.victim_settings(cell).training.initialisation for cell in cells}
    he = {name for name, kind in found.items() if kind == "he-normal"}
    assert he == {"vgg11-bn", "vgg16-bn", "vgg19-bn", "densenet121"}
    sources = [default.source_settings(cell) for cell in default.sources(*default.settings.experiments)]
    assert {each.training.initialisation for each in sources} == {"default"}  # none of these networks is one


def test_ntga_has_the_network_of_its_released_code_on_the_papers_datasets_alone() -> None:
    default = default_study()
    settings = {
        name: plain(default.noise_settings(Noise(name, "ntga", 8, 0, 0)))["method"]
        for name in default.settings.datasets
    }
    released = {name for name, its in settings.items() if (its["activation"], its["readout"]) == ("erf", "none")}
    others = {(its["activation"], its["readout"]) for name, its in settings.items() if name not in released}
    assert released == {"cifar10", "cifar100", "imagenet100"}
    assert others == {("relu", "linear")}


def test_unfit_counter_measures_are_refused_before_anything_runs() -> None:
    grey = faults(noises=[REM], datasets=["fashion-mini"], victims={"countermeasures": ["gray"], "radii": [0]})
    assert "experiments.own.victims.countermeasures.0: 'gray' does not fit 'fashion-mini'" in grey
    groups = [{"radii": [0]}, {"countermeasures": ["none", "mart"], "radii": [0, 4]}]
    still = faults(noises=[REM], victims=groups)
    assert "experiments.own.victims.1.countermeasures.1: 'mart' is a form of adversarial training" in still
    assert "did you mean 'jpeg10'?" in faults(noises=[REM], victims={"countermeasures": ["jpeg1"]})


def test_a_misspelt_key_of_a_method_is_named_without_its_algorithm() -> None:
    config: dict[str, Any] = {}
    for file in MINI:
        update_config(config, yaml.safe_load(file.read_text()))
    config["methods"]["lsp"] = {"algorithm": "lsp", "path": 8}
    with pytest.raises(UserError, match=r"methods\.lsp\.path: unknown key; did you mean 'patch'\?"):
        Study(config, MINI, ROOT)


def laid_over(*changes: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    for file in MINI:
        update_config(config, yaml.safe_load(file.read_text()))
    for change in changes:
        update_config(config, change)
    return config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"source_model": {"by_method": {"tap": {"steps": 7}}}},
            r"source_model\.by_method\.tap: 'tap' has no source model of its own, but that of the method clean",
        ),
        (
            {"source_model": {"by_dataset": {"mini": {"by_method": {"ops": {"steps": 7}}}}}},
            r"source_model\.by_dataset\.mini\.by_method\.ops: 'ops' has no source model of its own, but none",
        ),
        (
            {"victim": {"by_network": {"resnet81": {"stem": "imagenet"}}}},
            r"victim\.by_network\.resnet81: network 'resnet81' is not defined; did you mean 'resnet18'\?",
        ),
        (
            {"methods": {"em-augmented": {"by_dataset": {"imagenet100": {"frame": "augmented"}}}}},
            r"noises\.1\.method: 'em-augmented' has frame: augmented, which does not fit 'imagenet100'",
        ),
    ],
)
def test_settings_that_would_do_nothing_or_fail_late_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Study(laid_over(change), MINI, ROOT)


def test_a_victim_of_one_network_may_have_settings_of_its_own() -> None:
    own = Study(laid_over({"victim": {"by_network": {"resnet18": {"steps": 7}}}}), MINI, ROOT)
    cells = [Victim("mini", "rem", 8, 4, 0, 100, network, "none", 0, 0) for network in ("resnet18", "vgg16-bn")]
    assert [own.victim_settings(cell).training.steps for cell in cells] == [7, 40]
    assert [own.victim_settings(cell).training.network for cell in cells] == ["resnet18", "vgg16-bn"]


def test_products_know_every_stages_settings_of_the_methods_they_show() -> None:
    change = {"noise": {"by_dataset": {"mini": {"by_method": {"rem": {"j": 2}}}}}}
    own = Study(laid_over(change), MINI, ROOT)
    methods = products.config(own, "mini-radius", "accuracy-table")["methods"]["mini"]
    assert [stage["settings"]["j"] for stage in methods["rem"]] == [1, 2]
    assert [stage["settings"]["source_model_steps"] for stage in methods["tap-fu2022"]] == [30, 30]
    assert methods["ntga"][0]["settings"]["source_model_steps"] is None


def test_a_fault_is_one_line_whatever_its_key_and_its_value_hold() -> None:
    (line,) = faults(noises=[REM], **{"\x1b[2J\n\x1b]0;title\x07": 1}).splitlines()
    assert r"experiments.own.\x1b[2J\n\x1b]0;title\x07: unknown key" in line
