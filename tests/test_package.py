"""The package as `pip install` makes it: what a wheel holds, and that it answers wherever it is used from."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import playground

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
OFFLINE = ("--no-deps", "--no-index")

PREDICT = """
import playground
from playground import Predictor, Question
from playground.paths import EXAMPLES

print(playground.__file__)
predictor = Predictor.load("tiny-florence2", device="cpu", offline=True)
for region in predictor.predict(EXAMPLES / "meadow.png", Question("<OD>")).regions:
    print(region.label)
"""


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").split()


def test_the_lock_holds_what_is_pinned_with_a_hash_for_each() -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements-hashes.txt").read_text(encoding="utf-8").strip())
    assert all("--hash=sha256:" in block for block in blocks)
    # docs/developing.md has the command that writes it anew after a pin has changed.
    assert set(lines_of("requirements.txt")) <= {block.split()[0] for block in blocks}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built with what the tests installed."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([*PIP, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an installation that has nothing else in it."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", *OFFLINE, "--target", folder, wheel], check=True)
    return folder


def run(*command: str | Path, installed: Path, cwd: Path) -> str:
    """Run a program that finds the installation before anything else; returns what it printed."""
    env = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_wheel_holds_the_package_with_its_assets_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assets = [path for path in (ROOT / "assets").rglob("*") if path.is_file()]
    expected = {f"playground/{path.relative_to(ROOT).as_posix()}" for path in assets}
    expected |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "playground").rglob("*.py")}
    assert {name for name in names if ".dist-info/" not in name} == expected


def test_what_it_needs_is_what_the_requirements_pin(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    said = Parser().parsestr(archive.read(name).decode("utf-8"))
    names = ("extra", "scale", "train")
    extra = [f"{line}; extra == '{name}'" for name in names for line in lines_of(f"requirements-{name}.txt")]
    assert sorted(said.get_all("Requires-Dist", [])) == sorted([*lines_of("requirements.txt"), *extra])
    assert (said["Name"], said["License-Expression"]) == ("florence2-playground", "MIT")
    assert set(said["Requires-Python"].split(",")) == {">=3.11", "<3.15"}


def test_what_builds_it_is_pinned_as_in_the_tests() -> None:
    assert set(PROJECT["build-system"]["requires"]) <= set(lines_of("tests/requirements.txt"))


def test_it_answers_from_any_folder(installed: Path, tmp_path: Path) -> None:
    home, *labels = run("-c", PREDICT, installed=installed, cwd=tmp_path).splitlines()
    assert Path(home) == installed / "playground" / "__init__.py"
    assert sorted(labels) == ["car", "kite", "star", "tree"]


def test_its_command_starts_the_program(installed: Path, tmp_path: Path) -> None:
    (command,) = PROJECT["project"]["scripts"]
    said = run(installed / "bin" / command, "--help", installed=installed, cwd=tmp_path)
    assert said.startswith(f"usage: {command} ")


@pytest.mark.parametrize("name", playground.__all__)
def test_every_export_comes_from_the_module_that_defines_it(name: str) -> None:
    value = getattr(playground, name)
    assert getattr(value, "__module__", playground._HOMES[name]) == playground._HOMES[name]


def test_a_name_that_is_not_exported_is_said_to_be_missing() -> None:
    with pytest.raises(AttributeError, match="module 'playground' has no attribute 'Nonsense'"):
        playground.Nonsense  # noqa: B018
