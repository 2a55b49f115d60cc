"""What the README, the pages of `docs/` and the requirements say, held against what is there."""

import json
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from playground.__main__ import read_command
from playground.checkpoints.catalog import BUNDLED, CATALOG, RECIPE, default_name
from playground.evaluation.figures import TARGETS
from playground.export import FORMATS
from playground.paths import ASSETS
from playground.pool import Pool
from playground.predictor import Predictor
from playground.question import Question
from playground.results import Prediction
from playground.settings import PREFIX, Settings
from playground.tasks import TASKS, Group, InputKind
from playground.ui.pages import build_app
from tests.live import Http, running
from tests.test_architecture import PATHS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
README = PAGES["README.md"]
CARD = yaml.safe_load(README.split("---\n")[1])
OPTIONAL = ("requirements-extra.txt", "requirements-scale.txt", "requirements-train.txt")
REQUIREMENTS = ("requirements.txt", *OPTIONAL, "tests/requirements.txt")
ADDRESS = "http://127.0.0.1:7860"  # as the pages write it


def lines_of(name: str) -> list[str]:
    return [line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line.strip()]


PINS = [(name, line) for name in REQUIREMENTS for line in lines_of(name) if not line.startswith("-r ")]


def fenced(language: str) -> list[tuple[str, str]]:
    """The blocks in a language, each with the name of its page."""
    found = [(name, re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)) for name, text in PAGES.items()]
    return [(name, block) for name, blocks in found for block in blocks]


def rows(page: str, first: str) -> list[list[str]]:
    """The cells of the table whose first heading is this one, without its two lines of headings."""
    lines = PAGES[page].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def names_in(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# The card of a Space


def test_the_card_is_that_of_a_gradio_space_which_starts_the_app() -> None:
    assert (CARD["sdk"], CARD["license"], CARD["python_version"]) == ("gradio", "mit", "3.11")
    assert (ROOT / CARD["app_file"]).is_file()
    assert len(CARD["short_description"]) <= 60  # the limit of Hugging Face's card


def test_the_card_and_the_requirements_agree_on_gradio() -> None:
    assert ("requirements.txt", f"gradio=={CARD['sdk_version']}") in PINS


def test_the_card_preloads_the_default_checkpoint_at_the_revision_of_the_catalog() -> None:
    default = next(row for row in CATALOG if row.name == default_name("cpu"))
    ((source, files, revision),) = (entry.split(" ") for entry in CARD["preload_from_hub"])
    assert (source, revision) == (default.source, default.revision)
    assert CARD["models"] == [default.source]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files.split(","))


# The requirements


@pytest.mark.parametrize(("file", "line"), PINS, ids=[f"{file}: {line}" for file, line in PINS])
def test_a_requirement_is_pinned_to_the_version_that_is_tested(file: str, line: str) -> None:
    match = re.fullmatch(r"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([0-9][0-9a-z.]*)", line)
    assert match
    name, version = match.groups()
    assert metadata.version(name).split("+")[0] == version, file


def test_requirements_lead_to_one_another_only() -> None:
    assert [line for name in REQUIREMENTS for line in lines_of(name) if line.startswith("-")] == [
        "-r ../requirements.txt",
        "-r ../requirements-extra.txt",
        "-r ../requirements-scale.txt",
        "-r ../requirements-train.txt",
    ]


# The commands


def test_the_start_command_needs_what_is_here() -> None:
    start = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python app.py"
    assert ("README.md", f"{start}\n") in fenced("sh")
    assert (
        start.replace("python3 -m", "py -m").replace("bin/", "Scripts/").replace(".venv/Scripts/", ".venv\\Scripts\\")
        in README
    )
    assert (ROOT / "app.py").is_file()


def test_the_pages_install_only_what_is_here() -> None:
    installed = re.findall(r"pip install -r (\S+\.txt)", "".join(PAGES.values()))
    assert set(installed) == {"requirements.txt", *OPTIONAL}
    extras = re.findall(r'pip install "\.\[(\w+)\]"', "".join(PAGES.values()))
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["requirements_txt"]
    assert set(extras) == set(hook["optional-dependencies"])
    assert "`florence2-playground`" in README
    assert list(PROJECT["project"]["scripts"]) == ["florence2-playground"]


def test_continuous_integration_runs_the_test_command_and_nothing_more() -> None:
    assert ("docs/developing.md", "bash tests/run.sh\n") in fenced("sh")
    steps = [line for line in lines_of(".ci/run") if not line.startswith(("#", "set "))]
    assert steps == ['cd "$(dirname "$0")/.."', "exec bash tests/run.sh"]


def test_github_runs_the_test_command_on_the_oldest_and_the_newest_python() -> None:
    job = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]["tests"]
    assert job["steps"][-1]["run"] == "bash tests/run.sh"
    oldest, newest = job["strategy"]["matrix"]["python"]
    major, minor = newest.split(".")
    assert PROJECT["project"]["requires-python"] == f">={oldest},<{major}.{int(minor) + 1}"
    assert f"Python {oldest} to {newest}" in README


def test_the_options_are_those_of_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_command(["--help"], {})
    accepted = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    table = rows("docs/hosting.md", "option")
    assert {option for cell, *_ in table for option in re.findall(r"--[a-z-]+", cell)} == accepted
    named = re.findall(r"app\.py ((?:--[a-z-]+ ?)+)", "".join(PAGES.values()))
    assert {option for options in named for option in options.split()} <= accepted


def test_the_settings_are_those_that_are_read_with_their_defaults() -> None:
    table = rows("docs/hosting.md", "variable")
    said = {names_in(variable)[0]: "".join(names_in(default)) for variable, default, _ in table}
    expected = {}
    for setting in fields(Settings):
        default: Any = setting.default
        shown = f"{default:g}" if isinstance(default, float) else str(default)
        shown = {"False": "no", "True": "yes"}.get(shown, shown)
        expected[PREFIX + setting.name.upper()] = shown
    assert said == expected
    mentioned = re.findall(rf"{PREFIX}[A-Z_]+", "".join(PAGES.values()))
    assert set(mentioned) == set(expected)


COMMANDS = [command.split() for command in re.findall(r"-m ((?:playground|tests)\.[^`\n]*)", "".join(PAGES.values()))]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")  # what one command has imported serves the next
@pytest.mark.parametrize("module", sorted({module.rstrip(":") for module, *_ in COMMANDS}))
def test_the_commands_are_there_and_take_these_options(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {word for name, *words in COMMANDS if name == module for word in words if word.startswith("--")}
    if module.startswith("tests."):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
        module = "tests.holds.grammar"  # they all read their command with `tests.holds.command`
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    assert said <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


# What is in the repository


def test_the_table_of_rooms_is_the_house_as_it_is_checked() -> None:
    table = rows("docs/architecture.md", "floor")
    said = {names_in(room)[0]: int(floor) for floor, room, _ in table}
    (contract,) = [row for row in PROJECT["tool"]["importlinter"]["contracts"] if row["id"] == "floors"]
    floors = {
        room.strip(): floor for floor, layer in enumerate(reversed(contract["layers"])) for room in layer.split("|")
    }
    paths = {
        f"playground/{room}/" if (ROOT / "playground" / room).is_dir() else f"playground/{room}.py": floor
        for room, floor in floors.items()
    }
    assert said == paths
    assert len(said) == len(table)
    assert {path.rstrip("/").removesuffix(".py").replace("/", ".") for path in said} == {
        ".".join(module.split(".")[:2]) for module in PATHS if module != "playground"
    }


def test_the_table_of_walls_is_what_is_checked() -> None:
    table = rows("docs/architecture.md", "library")
    said = {tuple(names_in(libraries)): names_in(importers) for libraries, importers in table}
    contracts = [row for row in PROJECT["tool"]["importlinter"]["contracts"] if row["type"] == "protected"]
    assert said == {tuple(row["protected_modules"]): row["allowed_importers"] for row in contracts}


def anchors(text: str) -> set[str]:
    """The names by which GitHub lets a page's headings be linked to."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_links_to_and_names_is_there(page: str) -> None:
    folder = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (folder / path).resolve() if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(PAGES[target.relative_to(ROOT).as_posix()]), link
    named = re.findall(r"(?<![\w/])(?:playground|tests|assets|docs|\.ci)/[\w./-]*\w", PAGES[page])
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_every_page_is_linked_from_the_readme() -> None:
    assert {f"docs/{name}" for name in re.findall(r"\(docs/([\w-]+\.md)\)", README)} == set(PAGES) - {"README.md"}
    assert "](assets/screenshot.png)" in README


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 110


def tracked() -> dict[str, str]:
    """The text files of the repository."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    contents = {name: ROOT / name for name in names.split("\0") if (ROOT / name).is_file()}
    data = {name: path.read_bytes() for name, path in contents.items()}
    return {name: content.decode("utf-8") for name, content in data.items() if b"\0" not in content}


def test_no_file_names_a_folder_or_a_registry_of_one_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("This is no git checkout: there is no list of tracked files.")
    folders, hosts = ("work", "root", "tmp", "home/[a-z]"), (r"pypi\.", "pythonhosted", "index-url", "find-links")
    foreign = re.compile(rf"(?<![\w.])/(?:{'|'.join(folders)})(?:/|\b(?!\.))|{'|'.join(hosts)}")
    own = Path(__file__).relative_to(ROOT).as_posix()
    found = {name: foreign.findall(content) for name, content in tracked().items() if name != own}
    assert {name: strays for name, strays in found.items() if strays} == {}


# What the pages say of the playground


def test_a_question_and_a_prediction_look_as_the_api_page_shows() -> None:
    question, whole, prediction = (json.loads(block) for page, block in fenced("json") if page == "docs/api.md")
    assert json.dumps(Question.from_dict(question).to_dict()) == json.dumps(question)
    assert {name: Question.from_dict(whole).to_dict()[name] for name in whole} == whole
    assert set(whole) - set(question) == {names_in(cell)[0] for cell, _ in rows("docs/api.md", "more")}
    assert json.dumps(Prediction.from_dict(prediction).to_dict()) == json.dumps(prediction)
    assert prediction["question"] == question
    listed = [names_in(cell)[0] for cell, _ in rows("docs/api.md", "field")]
    of_regions = {f"regions[].{name}" for region in prediction["regions"] for name in region}
    assert sorted(listed) == sorted([*prediction, *of_regions])


def test_the_api_page_lists_each_task_with_what_it_needs() -> None:
    needs = {"nothing": [InputKind.NONE], "`phrase`, a sentence": [InputKind.SENTENCE],
             "`phrase`, names": [InputKind.CLASSES], "`phrase`, descriptions": [InputKind.EXPRESSIONS],
             "`phrase`, a prompt": [InputKind.PROMPT], "`regions`": [InputKind.REGIONS]}  # fmt: skip
    said = {task: need for cell, need in rows("docs/api.md", "task") for task in names_in(cell)}
    assert set(said) == {task.id for task in TASKS}
    for task in TASKS:
        (kinds,) = [kinds for beginning, kinds in needs.items() if said[task.id].startswith(beginning)]
        assert task.input_kind in kinds, task.id


def test_the_pages_list_the_catalog_the_groups_and_the_formats() -> None:
    (row,) = [cells for cells in rows("docs/hosting.md", "option") if "--checkpoint" in cells[0]]
    assert names_in(row[1]) == [checkpoint.name for checkpoint in CATALOG]
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", README, re.MULTILINE) == [group.value for group in Group]
    (row,) = [cells for cells in rows("docs/api.md", "endpoint") if "/export" in cells[0]]
    assert [name for name in names_in(row[2]) if name != "format"] == [row.id for row in FORMATS]


def test_the_figures_of_the_bundled_model_are_those_of_its_recipe() -> None:
    measured = json.loads((ASSETS / BUNDLED / RECIPE).read_text(encoding="utf-8"))["metrics"]
    table = rows("docs/measurements.md", "figure")
    assert [(names_in(name)[0], reached, aim) for name, _, reached, aim in table] == [
        (name, f"{measured[name]:.3f}", str(target)) for name, target in TARGETS.items()
    ]


def test_the_figures_of_the_readme_are_measured() -> None:
    (section,) = re.findall(r"## Five figures\n(.*?)\n## ", README, re.DOTALL)
    figures = re.findall(r"\d+\.\d+(?: s| GB)?", section)
    assert len(figures) == 9
    assert [figure for figure in figures if figure not in PAGES["docs/measurements.md"]] == []


# The examples


@pytest.fixture(scope="module")
def url(predictor: Predictor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(checkpoint=BUNDLED, device="cpu", offline=True)
    with running(predictor, settings, tmp_path_factory.mktemp("cache")) as address:
        yield address


PYTHON = fenced("python")
CALLS = [(page, block) for page, block in fenced("sh") if "curl" in block]


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=[f"{page} {n}" for n, (page, _) in enumerate(PYTHON)])
def test_the_python_runs_as_it_stands(
    page: str, code: str, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code.replace(ADDRESS, url), page, "exec"), {})
    assert re.search("tree|kite", capsys.readouterr().out)


@pytest.mark.parametrize(("page", "script"), CALLS, ids=[f"{page} {n}" for n, (page, _) in enumerate(CALLS)])
def test_the_calls_with_curl_work_as_they_stand(page: str, script: str, url: str) -> None:
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("curl or bash is not on PATH.")
    script = f"export no_proxy=127.0.0.1\n{script.replace(ADDRESS, url)}"
    output = subprocess.run([bash, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    *_, last = output.strip().split("\n\n")
    event, content = (line.partition(": ")[2] for line in last.splitlines())
    assert event == "complete"
    if "/annotate" in script:
        progress, written = json.loads(content)
        assert (progress["state"], progress["answered"], len(written)) == ("done", 2, 1)
        return
    assert sorted(region["label"] for region in json.loads(content)[0]["regions"]) == ["car", "kite", "star", "tree"]


def test_the_endpoints_take_what_the_api_page_says(url: str) -> None:
    served = Http(url).get("/info").json()["named_endpoints"]
    takes = {name: [taken["parameter_name"] for taken in row["parameters"]] for name, row in served.items()}
    assert {names_in(cells[0])[0]: names_in(cells[1]) for cells in rows("docs/api.md", "endpoint")} == takes


def test_the_page_has_the_ids_that_scripts_rely_on() -> None:
    promised = (
        "status picture stage task phrase draw run stop answer regions style min-score checkpoint decoding downloads"
    )
    app = build_app(Predictor(Pool(Settings(checkpoint=BUNDLED, offline=True))), Settings()).get_config_file()
    of_the_page = app["page"][""]["components"]
    ids = [component["props"].get("elem_id") for component in app["components"] if component["id"] in of_the_page]
    assert {name: ids.count(name) for name in promised.split()} == dict.fromkeys(promised.split(), 1)
