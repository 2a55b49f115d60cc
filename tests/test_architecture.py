"""What the contracts in `pyproject.toml` cannot say of the house; `lint-imports` checks those."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

from playground.tasks import TASK_TOKENS

ROOT = Path(__file__).resolve().parents[1]
LARGEST_SHARE = 1 / 5  # of the lines that one room may have
POSITIONS = 1024  # of Florence-2-base; other checkpoints have others, and say so themselves


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


PATHS = {module_name(path): path for path in sorted(ROOT.glob("playground/**/*.py"))}
TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in PATHS.items()}


# Imports


def test_no_module_imports_a_package_that_it_is_part_of() -> None:
    graph = grimp.build_graph("playground", exclude_type_checking_imports=True, cache_dir=None)
    packages = {module: [name for name in PATHS if module.startswith(f"{name}.")] for module in PATHS}
    circles = [
        (module, package)
        for module in PATHS
        for package in packages[module]
        if graph.direct_import_exists(importer=module, imported=package)
    ]
    assert not circles


def test_what_spaces_start_imports_nothing_but_the_program() -> None:
    tree = ast.parse((ROOT / "app.py").read_text(encoding="utf-8"))
    imported = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imported == ["import sys", "from playground.__main__ import main"]


def all_of(room: str) -> str:
    """Return a program that imports every module of a room, but for what only runs as a program."""
    modules = [name for name in PATHS if f"{name}.".startswith(f"{room}.") and not name.endswith(".__main__")]
    assert modules
    return "import " + ", ".join(modules)


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("import playground", id="the package"),
        pytest.param("from playground import TASKS, Prediction, Question, Region", id="its values"),
        pytest.param("import playground.answering, playground.engines", id="what the page asks with"),
        pytest.param(all_of("playground.export"), id="export"),
        pytest.param(all_of("playground.scenes"), id="scenes"),
        pytest.param(all_of("playground.ui"), id="ui"),
    ],
)
def test_what_shows_no_answer_of_a_model_is_imported_without_torch(statement: str) -> None:
    program = f"{statement}\nimport sys\nassert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Names


def public_names(tree: ast.Module) -> Iterator[str]:
    """The classes, functions and constants that a module defines for others."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names = [node.name]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
        else:
            names = []
        yield from (name for name in names if not name.startswith("_"))


def test_no_public_name_stands_for_two_things() -> None:
    homes = defaultdict(list)
    for module, tree in TREES.items():
        for name in set(public_names(tree)) - {"main"}:
            homes[name].append(module)
    twice = [f"{name}: {', '.join(modules)}" for name, modules in sorted(homes.items()) if len(modules) > 1]
    assert not twice, "\n".join(twice)


def test_no_task_is_compared_outside_the_table() -> None:
    # The scenes, the training and the measurement treat some tasks apart: they are about what is asked, not how.
    apart = ("playground.tasks", "playground.scenes", "playground.training", "playground.evaluation")
    for module, tree in TREES.items():
        if f"{module}.".startswith(tuple(f"{name}." for name in apart)):
            continue
        compared = {
            constant.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for constant in ast.walk(node)
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        }
        assert not compared & TASK_TOKENS, f"{module} compares task tokens"


# Lines


def test_style_and_script_are_files() -> None:
    for module, path in PATHS.items():
        source = path.read_text(encoding="utf-8")
        assert "document.createElement" not in source, module
        assert "addEventListener" not in source, module


def test_no_room_is_more_than_a_fifth_of_the_house() -> None:
    lines: Counter[str] = Counter()
    for module, path in PATHS.items():
        parts = module.split(".")
        room = parts[:3] if parts[1:2] == ["ui"] and len(parts) > 3 else parts[:2]  # with floors of its own
        lines[".".join(room)] += len(path.read_text(encoding="utf-8").splitlines())
    shares = {room: count / lines.total() for room, count in lines.items()}
    assert {room: f"{share:.0%}" for room, share in shares.items() if share > LARGEST_SHARE} == {}


def factors(tree: ast.Module) -> set[ast.AST]:
    """The operands of all products: of bytes, where a thousand is 1024."""
    products = [node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult)]
    return {operand for product in products for operand in (product.left, product.right)}


def test_how_much_a_checkpoint_can_write_is_no_constant() -> None:
    written = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        # One makes a checkpoint of this size, one knows a width of the large model, one what transformers takes for it.
        if module not in ("playground.bench.skeleton", "playground.checkpoints.layout", "playground.checkpoints.plain")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == POSITIONS and node not in factors(tree)
    ]
    assert written == []
