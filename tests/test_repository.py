"""What the repository promises about itself: its README's commands, its lock, its environment and its schema."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonschema import Draft202012Validator
from PIL import Image

ROOT = Path(__file__).parent.parent
PIN = re.compile(r"^([a-zA-Z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


SHORTER = {  # what takes an owner minutes
    "presets.py": {'"steps": 300}': '"steps": 4}'},
    "audit.py": {
        **{"SIZES = (32, 48)": "SIZES = (32,)", "STEPS = 300": "STEPS = 2", "SEEDS = 3": "SEEDS = 1"},
        **{'("jpeg10", "rescale")': "()", '"resnet20"': '"small-cnn"'},
    },
}


def readme_commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def own_files() -> list[Path]:
    """The files of the repository: those that git tracks, or without its history those that it would not ignore."""
    if shutil.which("git") is not None:
        told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
        if told.returncode == 0 and told.stdout:
            return [Path(name) for name in told.stdout.split("\0") if (ROOT / name).is_file()]
    ignored = [line.rstrip("/*") for line in (ROOT / ".gitignore").read_text().splitlines() if line[0] != "!"]
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if not any(Path(name).match(pattern) for pattern in [*ignored, ".git"])]
        found += [(Path(folder) / name).relative_to(ROOT) for name in names]
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files whose studies are the shipped ones with tiny budgets, and with an environment."""
    target = tmp_path_factory.mktemp("clone")
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for file in own_files():
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, target / file)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    shrink(config)
    (target / "config/config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    (target / "config/studies/fashion.yaml").write_text(yaml.safe_dump({"run": ["radius"]}))
    for name, shorter in SHORTER.items():
        shrunk = (ROOT / "workflow/unlearnable/owners" / name).read_text()
        for long, short in shorter.items():
            assert long in shrunk
            shrunk = shrunk.replace(long, short)
        (target / "workflow/unlearnable/owners" / name).write_text(shrunk)
    (target / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):  # what makes Python find the environment's packages
        (target / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    (target / ".venv/installed").touch()
    (target / "bin").mkdir()
    (target / "bin/unlearnable").write_text('#!/bin/sh\nPYTHONPATH=workflow exec python -m unlearnable.cli.main "$@"\n')
    (target / "bin/unlearnable").chmod(0o755)
    photographs(target / "my photos")
    return target


def photographs(folder: Path) -> None:
    """An owner's folder, for the commands of the pages."""
    draws = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(5):
            coarse = Image.fromarray(draws.integers(0, 256, (3, 4, 3), np.uint8))
            coarse.resize((48, 36), Image.Resampling.BICUBIC).save(folder / label / f"{number}.jpg")


def shrink(config: dict[str, Any]) -> None:
    """The same study with two of its noises, seconds long."""
    config["methods"]["em"].setdefault("by_dataset", {})["fashion-mini"] = {"k_u": 1}
    config["methods"]["sem"].setdefault("by_dataset", {})["fashion-mini"] = {"k_u": 1, "k_a": 1, "j": 1}
    config["source_model"]["by_dataset"]["fashion-mini"] = {"network": "small-cnn", "steps": 4}
    config["noise"]["by_dataset"]["fashion-mini"] = {}
    config["victim"]["by_dataset"]["fashion-mini"] = {
        "steps": 4, "k_a": 1, "evaluate_every": 2, "robust_steps": 1, "robust_images": 100,
    }  # fmt: skip
    config["experiments"]["radius"] |= {
        "noises": [
            {"method": "clean"},
            {"method": "em", "rho_u": [20]},
            {"method": "sem", "rho_u": [20], "rho_a": [5]},
        ],
        "seeds": [0],
    }


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([f"{folder}/bin", str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        command, shell=True, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )


PAGES = ["README.md", *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")), "config/README.md"]
LINKED = [
    *PAGES,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(f"workflow/{at}/README.md" for at in ("references", "datasets/fashion-mini", "datasets/photo-crops")),
]


def blocks(page: str, language: str) -> list[list[str]]:
    """The lines of each block of a page in a language, empty ones left out of shell commands."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return [[line for line in block.splitlines() if line or language != "sh"] for block in found]


def anchors(page: Path) -> set[str]:
    """What a link can point at: the headings of a page, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = (ROOT / page).parent / name if name else ROOT / page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_picture_of_the_pipeline_is_what_its_program_draws(tmp_path: Path) -> None:
    import matplotlib

    if matplotlib.__version__ != lock()["matplotlib"]:
        pytest.skip(f"another matplotlib than the lock's draws other bytes: {matplotlib.__version__}")
    (tmp_path / "pipeline.py").write_text((ROOT / "docs/pipeline.py").read_text())
    subprocess.run([sys.executable, "pipeline.py"], cwd=tmp_path, check=True)
    assert (tmp_path / "pipeline.svg").read_bytes() == (ROOT / "docs/pipeline.svg").read_bytes()


def test_the_entries_that_contributing_shows_make_a_study(clone: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(clone, project, symlinks=True, ignore=shutil.ignore_patterns("results", "logs", ".snakemake"))
    shown = [block for language in ("python", "rst", "yaml") for block in blocks("CONTRIBUTING.md", language)]
    for lines in shown:
        file = project / lines[0].split(" ", 1)[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines[1:]) + "\n")
    assert (project / "by_hand.py").is_file()
    (project / "data/digits").mkdir(parents=True)
    for half in ("train", "test"):
        draws = np.random.default_rng(0)
        images, labels = draws.integers(0, 256, (256, 28, 28, 1), np.uint8), np.arange(256) % 2
        np.savez(project / f"data/digits/{half}.npz", images=images, labels=labels)
    for command in [line for block in blocks("CONTRIBUTING.md", "sh") for line in block]:
        done = run(command, project)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    table = (project / "results/tables/mine/accuracy.md").read_text()
    assert "PATCHES 16" in table
    assert "grain" in table
    assert (project / "results/tables/mine/gap.csv").stat().st_size > 0


def test_a_stage_can_be_run_by_hand_as_contributing_shows(clone: Path) -> None:
    (program,) = (block for block in blocks("CONTRIBUTING.md", "python") if block[0] == "# by_hand.py")
    (clone / "by_hand.py").write_text("\n".join(program))
    done = run(f"PYTHONPATH=workflow {sys.executable} by_hand.py", clone)
    assert done.returncode == 0, done.stderr
    assert np.load(clone / "by-hand/noise.npy").shape == (512, 28, 28, 1)


def test_the_readme_has_the_commands_that_matter() -> None:
    assert {"make run", "make test", "snakemake all --cores 8 --resources gpu=4"} <= set(readme_commands())


def test_the_commands_of_all_pages_work_verbatim(clone: Path) -> None:
    commands = readme_commands() + [line for page in PAGES[1:] for block in blocks(page, "sh") for line in block]
    assert {"make plan", "make watch", "make verify", "snakemake victims --cores 8"} <= set(commands)
    for command in dict.fromkeys(commands):
        if command in ("make test", "make bench"):
            command += " --dry-run"  # this is make test, and the benchmark takes its time
        result = run(command, clone)
        assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}{result.stderr[-3000:]}"
    for name in ("tables/radius/accuracy", "tables/radius/comparison", "tables/radius/cost"):
        for kind in ("csv", "md", "tex"):
            assert (clone / f"results/{name}.{kind}").stat().st_size > 0
    for name in ("accuracy", "training-curves", "noise-sheet"):
        for kind in ("pdf", "svg", "png"):
            assert (clone / f"results/figures/radius/{name}.{kind}").stat().st_size > 0
    assert (clone / "results/report.zip").stat().st_size > 0
    (snippet,) = blocks("docs/owners.md", "python")
    program = "\n".join([*snippet, "print(protected.shape)"])
    shown = subprocess.run([sys.executable, "-c", program], cwd=clone, capture_output=True, text=True)
    assert shown.stdout == "torch.Size([10, 32, 32, 3])\n", shown.stderr
    _, snippet = blocks("docs/python.md", "python")
    program = "\n".join([*snippet, "print(len(train), *image.shape, train.classes[label])"])
    assert python(program, clone) == "10 3 32 32 cat\n"


def python(program: str, project: Path) -> str:
    """What a program prints that runs in a project's folder with its library."""
    path = {"PYTHONPATH": str(project / "workflow")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=project, env=os.environ | path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_page_for_programs_shows_what_works() -> None:
    snippet, _ = blocks("docs/python.md", "python")
    printed = python(
        "\n".join([*snippet, "print(protected.dtype, protected.shape, (protected != images).any())"]), ROOT
    )
    assert printed == "uint8 (64, 32, 32, 3) True\n"


def test_importing_the_library_does_not_import_torch() -> None:
    program = (
        "import sys, unlearnable; print([name for name in sys.modules if name.split('.')[0] in ('torch', 'numpy')])"
    )
    assert python(program, ROOT) == "[]\n"
    used = "import unlearnable; print(unlearnable.protect.__name__, unlearnable.load_release.__name__)"
    assert python(used, ROOT) == "protect load_release\n"


def test_the_python_of_the_pages_works_verbatim(clone: Path) -> None:
    run("make run", clone)
    others = ("docs/owners.md", "docs/python.md")
    (snippet,) = (block for page in PAGES if page not in others for block in blocks(page, "python"))
    result = subprocess.run(
        [sys.executable, "-c", "\n".join([*snippet, "print(len(train), train.attrs['classes'][0])"])],
        cwd=clone, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.stdout == "6000 T-shirt/top\n", result.stderr


def test_the_second_make_installs_nothing(clone: Path) -> None:
    assert "pip install" not in run("make run --dry-run", clone).stdout


def test_the_order_that_the_readme_warns_of_still_fails(clone: Path) -> None:
    assert run("snakemake --cores 8 --resources gpu=4 all --dry-run", clone).returncode != 0


def lock() -> dict[str, str]:
    return dict(PIN.findall((ROOT / "requirements.lock").read_text()))


def test_the_lock_pins_every_dependency_with_hashes_and_without_urls() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert not re.search(r"^--(index|extra-index|find-links)", text, re.MULTILINE)
    for requirement in re.split(r"\n(?=[a-z])", text.partition("annotated-types")[2]):
        assert "--hash=sha256:" in requirement


def test_the_lock_covers_what_the_project_declares() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[><=[]", each)[0] for part in declared for each in part} - {project["name"]}
    assert names <= set(lock())


def test_the_conda_environment_pins_the_versions_of_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "envs/pipeline.yaml").read_text())
    (pip,) = [part["pip"] for part in environment["dependencies"] if isinstance(part, dict)]
    pinned = dict(requirement.split("==") for requirement in pip)
    assert {"torch", "torchvision", "numpy", "pandas", "pyarrow", "matplotlib"} <= set(pinned)
    assert pinned == {name: lock()[name] for name in pinned}


def make_schema() -> Any:
    spec = importlib.util.spec_from_file_location("make_schema", ROOT / "workflow/schemas/make_schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_schema_for_editors_is_the_one_that_checks() -> None:
    assert make_schema().content() == (ROOT / "workflow/schemas/config.schema.json").read_text(), (
        "run: python workflow/schemas/make_schema.py"
    )


def faults_in_an_editor(config: Any) -> list[str]:
    """What an editor marks in a configuration file: the path of each faulty key or value."""
    schema = json.loads((ROOT / "workflow/schemas/config.schema.json").read_text())
    return [error.json_path for error in Draft202012Validator(schema).iter_errors(config)]


WITH_STUDIES = ("docs/owners.md", "docs/methods.md", "config/README.md")


def mine(page: str) -> str:
    """The configuration file that a page shows."""
    (shown,) = re.findall(r"^```yaml\n(# mine.yaml.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(shown)


@pytest.mark.parametrize("page", WITH_STUDIES)
def test_the_study_that_a_page_shows_can_be_planned(page: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(mine(page))
    snakemake = f"{Path(sys.executable).parent}/snakemake"
    done = run(f"{snakemake} -n --cores 1 -s {ROOT}/Snakefile --configfile mine.yaml", tmp_path)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^victim +\d+$", done.stdout, re.MULTILINE)


def test_an_editor_marks_nothing_in_what_is_right() -> None:
    configs = {path.name: path.read_text() for path in ROOT.glob("config/**/*.yaml")}
    configs |= {page: mine(page) for page in WITH_STUDIES}
    assert len(configs) > 15
    assert {name: faults_in_an_editor(yaml.safe_load(text)) for name, text in configs.items()} == {
        name: [] for name in configs
    }


@pytest.mark.parametrize(
    ("change", "faulty"),
    [
        ({"sead": 1}, "$"),
        ({"victim": {"default": {"lr": "fast"}}}, "$.victim.default.lr"),
        ({"methods": {"rem": {"k_y": 3}}}, "$.methods.rem"),
        ({"experiments": {"e": {"victims": {"radius": [1]}}}}, "$.experiments.e.victims"),
    ],
    ids=["key", "value", "method's key", "experiment's key"],
)
def test_an_editor_marks_what_is_wrong(change: dict[str, Any], faulty: str) -> None:
    assert faults_in_an_editor(change) == [faulty]


def test_a_checkout_has_the_same_bytes_where_git_is_told_to_write_crlf(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    original, copy = tmp_path / "original", tmp_path / "copy"
    names = own_files()
    for name in names:
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, original / name)
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]

    def git(*arguments: str) -> None:
        command = ["git", "-c", "core.autocrlf=true", *author, *arguments]
        subprocess.run(command, cwd=original, env=os.environ | alone, check=True, capture_output=True)

    git("init")
    git("add", "--force", ".")
    git("commit", "--message", "all")
    git("clone", "--config", "core.autocrlf=true", ".", str(copy))
    assert len(names) > 100
    assert [name for name in names if (copy / name).read_bytes() != (ROOT / name).read_bytes()] == []


def test_no_page_has_a_gap_left_to_fill() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("config/*.md")]
    assert [page.name for page in pages if re.search("^([A-Z]+_[A-Z_]+|TODO.*)$", page.read_text(), re.MULTILINE)] == []


def test_every_key_is_explained() -> None:
    text = (ROOT / "config/README.md").read_text()
    schema = make_schema().schema()
    keys = {key for part in [schema, *schema["$defs"].values()] for key in part.get("properties", {})}
    assert len(keys) > 80
    assert [key for key in sorted(keys) if f"`{key}`" not in text and f"{key}:" not in text] == []


def test_the_tables_of_keys_are_those_of_the_settings() -> None:
    page = (ROOT / "config/README.md").read_text()
    assert make_schema().keys.filled(page) == page, "run: python workflow/schemas/make_schema.py"
