"""What the README, the requirements and the style sheet say, held against what is there."""

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from app import read_command
from playground.checkpoints.catalog import CATALOG, default_name
from playground.pool import Pool
from playground.predictor import Predictor
from playground.regions import Region
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import TASKS, Group
from playground.ui.layout import build_app
from tests.test_architecture import SOURCES, imports

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CARD = yaml.safe_load(README.split("---\n")[1])
REQUIREMENTS = ("requirements.txt", "requirements-extra.txt", "tests/requirements.txt")


def lines_of(name: str) -> list[str]:
    return [line.strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line.strip()]


PINS = [(name, line) for name in REQUIREMENTS for line in lines_of(name) if not line.startswith("-r ")]


def fenced(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def first_cells() -> list[str]:
    """The first cell of every row of every table."""
    return [line.split("|")[1].strip() for line in README.splitlines() if line.startswith("| `")]


# The card of a Space


def test_the_card_is_that_of_a_gradio_space_which_starts_the_app() -> None:
    assert (CARD["sdk"], CARD["license"], CARD["python_version"]) == ("gradio", "mit", "3.11")
    assert (ROOT / CARD["app_file"]).is_file()
    assert len(CARD["short_description"]) <= 60  # the limit of Hugging Face's card


def test_the_card_and_the_requirements_agree_on_gradio() -> None:
    assert ("requirements.txt", f"gradio=={CARD['sdk_version']}") in PINS


def test_the_card_preloads_the_default_checkpoint_at_the_revision_of_the_catalogue() -> None:
    default = next(row for row in CATALOG if row.name == default_name("cpu"))
    ((source, files, revision),) = (entry.split(" ") for entry in CARD["preload_from_hub"])
    assert (source, revision) == (default.source, default.revision)
    assert CARD["models"] == [default.source]
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(files.split(","))


# The requirements


@pytest.mark.parametrize(("file", "line"), PINS, ids=[f"{file}: {line}" for file, line in PINS])
def test_a_requirement_is_pinned_to_the_version_that_is_tested(file: str, line: str) -> None:
    name, version = re.fullmatch(r"([A-Za-z0-9_.-]+)==([0-9][0-9a-z.]*)", line).groups()  # type: ignore[union-attr]
    assert metadata.version(name).split("+")[0] == version, file


def test_requirements_lead_to_one_another_only() -> None:
    assert [line for name in REQUIREMENTS for line in lines_of(name) if line.startswith("-")] == [
        "-r ../requirements.txt",
        "-r ../requirements-extra.txt",
    ]


# The commands


def test_the_start_command_needs_what_is_here() -> None:
    start = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python app.py"
    assert f"{start}\n" in fenced("sh")
    assert start.replace("python3 -m", "py -m").replace("bin/", "Scripts/").replace(
        ".venv/Scripts/", ".venv\\Scripts\\"
    ) in README
    assert (ROOT / "requirements.txt").is_file()
    assert (ROOT / "app.py").is_file()


def test_continuous_integration_runs_the_test_command_of_the_readme_and_nothing_more() -> None:
    assert "bash tests/run.sh\n" in fenced("sh")
    steps = [line for line in lines_of(".ci/run") if not line.startswith(("#", "set "))]
    assert steps == ['cd "$(dirname "$0")/.."', "exec bash tests/run.sh"]


def test_the_options_are_those_of_the_command_line(capsys) -> None:
    with pytest.raises(SystemExit):
        read_command(["--help"], {})
    accepted = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    assert {option for cell in first_cells() for option in re.findall(r"--[a-z-]+", cell)} == accepted


@pytest.mark.parametrize("command", re.findall(r"-m (playground\..*)", README))
def test_the_commands_take_these_options(command: str) -> None:
    module, *arguments = command.split()
    ask_for_help = [sys.executable, "-m", module, "--help"]
    shown = subprocess.run(ask_for_help, check=True, capture_output=True, text=True, cwd=ROOT)
    accepted = set(re.findall(r"--[a-z-]+", shown.stdout))
    assert {argument for argument in arguments if argument.startswith("--")} <= accepted


# What is in the repository


def modules() -> list[str]:
    """The modules and packages of `playground/`, as the table of the README names them."""
    return [
        f"playground/{path.name}" + ("/" if path.is_dir() else "")
        for path in (ROOT / "playground").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
        if path.name != "__init__.py"
    ]


def test_the_table_of_modules_lists_each_of_them_once() -> None:
    listed = [cell.strip("`") for cell in first_cells() if cell.startswith(("`playground/", "`app"))]
    assert sorted(listed) == sorted([*modules(), "app.py"])


def test_a_module_imports_only_from_modules_above_it_in_the_table() -> None:
    rows = [cell.strip("`").rstrip("/").removesuffix(".py").replace("/", ".") for cell in first_cells()]
    rows = [row for row in rows if row.startswith("playground.") or row == "app"]

    def row_of(module: str) -> str:
        return ".".join(module.split(".")[:2])

    for module, path in SOURCES.items():
        if row_of(module) not in rows:
            continue
        used = {row_of(name) for name in imports(path) if row_of(name) in rows} - {row_of(module)}
        below = {name for name in used if rows.index(name) > rows.index(row_of(module))}
        assert not below, f"{module} imports {below}, which the README lists below it"


def test_what_the_readme_links_to_and_names_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    named = re.findall(r"(?<![\w/])(?:playground|tests|assets|\.ci)/[\w./-]*\w", README)
    local = {link for link in links if not link.startswith("https://")} | set(named)
    assert "assets/screenshot.png" in local
    assert {path for path in local if not (ROOT / path).exists()} == set()


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
    assert {name: foreign.findall(content) for name, content in tracked().items() if name != own} == {
        name: [] for name in tracked() if name != own
    }


# What it says of the playground


def test_it_says_what_a_prediction_is() -> None:
    prediction = Prediction("<OD>", "tiny-florence2", (9, 9)).to_dict()
    region = Region("a", (0, 0, 1, 1), xyxyxyxy=(0,) * 8, polygons=(((0, 0), (1, 0), (1, 1)),)).to_dict()
    (said,) = re.findall(r"A prediction is `(\{.*?\}\]?.*?\})`", README, re.DOTALL)
    assert re.findall(r'"(\w+)"', said) == [
        key for name in prediction for key in ([name, *region] if name == "regions" else [name])
    ]


def test_it_lists_the_catalogue_and_every_group_of_tasks() -> None:
    (row,) = [line for line in README.splitlines() if line.startswith("| `--checkpoint")]
    assert [name for name in re.findall(r"`([a-z0-9-]+)`", row) if name != "--checkpoint"] == [
        checkpoint.name for checkpoint in CATALOG
    ]
    assert re.findall(r"^\| \*\*(.+?)\*\* \|", README, re.MULTILINE) == [group.value for group in Group]


def test_its_python_runs_as_it_stands(capsys, monkeypatch) -> None:
    (snippet,) = [code for code in fenced("python") if "from playground import" in code]
    assert len([line for line in snippet.splitlines() if line]) <= 5
    monkeypatch.chdir(ROOT)
    exec(compile(snippet, "README.md", "exec"), {})
    assert "('kite', 0." in capsys.readouterr().out


# What the style sheet says of the page


def test_the_headings_of_the_task_list_stand_over_the_first_task_of_each_group() -> None:
    css = (ROOT / "assets" / "page.css").read_text(encoding="utf-8")
    rules = re.findall(r'\[aria-label="([^"]+)"\]::before \{\s*content: "([^"]+)";', css)
    firsts = {task.group: task.title for task in reversed(TASKS)}
    assert rules == [(firsts[group], group.value) for group in dict.fromkeys(task.group for task in TASKS)]
    named = re.findall(r'#task \[role="option"\]\[aria-label="([^"]+)"\]', css)
    assert set(named) == {title for title, _ in rules}


def test_the_tasks_of_a_group_stand_together() -> None:
    groups = [task.group for task in TASKS]
    assert groups == sorted(groups, key=list(dict.fromkeys(groups)).index)


def test_the_page_has_the_ids_that_scripts_rely_on() -> None:
    promised = (
        "status picture stage task phrase draw run stop answer regions style min-score checkpoint decoding downloads"
    )
    page = build_app(Predictor(Pool(Settings(checkpoint="tiny-florence2", offline=True))), Settings())
    ids = [component["props"].get("elem_id") for component in page.get_config_file()["components"]]
    assert {name: ids.count(name) for name in promised.split()} == dict.fromkeys(promised.split(), 1)
