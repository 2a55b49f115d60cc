"""The order of the modules and the walls between them, read from the imports themselves."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

RANKS = {
    "playground": 0,
    "playground.errors": 0,
    "playground.inference.memory": 0,
    "playground.settings": 1,
    "playground.tasks": 2,
    "playground.results": 3,
    "playground.locations": 4,
    "playground.grammar": 5,
    "playground.pictures.reader": 6,
    "playground.question": 7,
    "playground.scenes.things": 4,
    "playground.scenes.outlines": 4,
    "playground.scenes.backgrounds": 5,
    "playground.scenes.composition": 6,
    "playground.scenes.painting": 7,
    "playground.scenes.scene": 8,
    "playground.scenes.examples": 9,
    "playground.scenes.augment": 9,
    "playground.scenes.dataset": 10,
    "playground.scenes.truth": 10,
    "playground.training.tokenizer": 10,
    "playground.training.model": 11,
    "playground.training.batches": 12,
    "playground.training.learner": 13,
    "playground.training.trainer": 14,
    "playground.checkpoints.catalog": 8,
    "playground.checkpoints.hub": 9,
    "playground.checkpoints.loader": 10,
    "playground.inference.decoding": 1,
    "playground.inference.kernels": 1,
    "playground.inference.vision": 2,
    "playground.inference.language": 2,
    "playground.inference.prepared": 3,
    "playground.inference.engine": 11,
    "playground.pool": 12,
    "playground.predictor": 13,
    "playground.drawing.captions": 14,
    "playground.drawing": 15,
    "playground.export.common": 16,
    "playground.export.dataset": 17,
    "playground.export": 19,
    "playground.evaluation.metrics": 8,
    "playground.evaluation.figures": 13,
    "playground.evaluation.calibrate": 20,
    "playground.evaluation.on_scenes": 20,
    "playground.doctor": 20,
    "playground.bench.paths": 14,
    "playground.bench.skeleton": 14,
    "playground.bench.roofline": 14,
    "playground.bench.users": 15,
    "playground.bench.check": 21,
    "playground.bench.__main__": 22,
    "playground.ui.text": 21,
    "playground.ui.components": 22,
    "playground.ui.picture": 22,
    "playground.ui.server.files": 22,
    "playground.ui.streams": 22,
    "playground.ui.server.queue_limits": 22,
    "playground.ui.server.headers": 22,
    "playground.ui.server.cleanup": 22,
    "playground.ui.session": 23,
    "playground.ui.scene": 23,
    "playground.ui.api": 24,
    "playground.ui.handlers": 24,
    "playground.ui.layout": 25,
    "app": 26,
}
MODEL = (
    "playground.checkpoints.loader", "playground.inference", "playground.inference.engine", "playground.bench", "playground.scenes",
)  # fmt: skip
WALLS = {
    "torch": MODEL,
    "transformers": MODEL,
    "huggingface_hub": ("playground.checkpoints.hub",),
    "gradio": ("playground.ui", "app"),
    "supervision": ("playground.drawing", "playground.export", "playground.evaluation.metrics"),
    "spaces": ("app", "playground.ui.streams"),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in [*ROOT.glob("playground/**/*.py"), ROOT / "app.py"]}


def rank(module: str) -> int:
    if module in RANKS:
        return RANKS[module]
    if module.startswith("playground.export."):
        return 18  # one file a format; the table of formats in __init__ stands on top of them
    if module in ("playground.bench", "playground.inference", "playground.scenes", "playground.ui"):
        return 0
    raise AssertionError(f"{module} has no rank: give it one here")


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, at its top or inside a function.

    Not what is imported for types only, and not what a module starts when it is run as a program: that stands on top
    of everything, like `app.py`, and no import of the module reaches it.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    never_imported = {
        node
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) in ("TYPE_CHECKING", "__name__ == '__main__'")
        for node in ast.walk(branch)
    }
    names = set()
    for node in ast.walk(tree):
        if node in never_imported:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & SOURCES.keys()
            names |= submodules or {node.module}
    return names


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_a_module_imports_only_from_modules_below_it(module: str) -> None:
    for imported in imports(SOURCES[module]):
        if imported in SOURCES and imported != module:
            assert rank(imported) < rank(module), f"{module} imports {imported}"


@pytest.mark.parametrize("library", sorted(WALLS))
def test_a_library_stays_behind_its_wall(library: str) -> None:
    allowed = WALLS[library]
    users = {module for module, path in SOURCES.items() for name in imports(path) if name.split(".")[0] == library}
    strays = {m for m in users if not any(m == wall or m.startswith(wall + ".") for wall in allowed)}
    assert not strays


@pytest.mark.parametrize(
    "statement",
    [
        "import playground",
        "from playground import TASKS",
        "import playground.scenes.scene",
        "import playground.ui.layout",
    ],
)
def test_the_page_and_the_scenes_are_imported_without_torch(statement: str) -> None:
    program = f"{statement}\nimport sys\nassert 'torch' not in sys.modules, 'torch was imported'"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_task_token_is_written_outside_the_table() -> None:
    from playground.tasks import TASK_TOKENS

    allowed = {"playground.tasks"}
    for module, path in SOURCES.items():
        if module in allowed or module.startswith("playground.scenes"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        compared = {
            constant.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Compare)
            for constant in ast.walk(node)
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        }
        assert not compared & TASK_TOKENS, f"{module} compares task tokens"


def test_style_and_script_are_files() -> None:
    for module, path in SOURCES.items():
        source = path.read_text(encoding="utf-8")
        assert "document.createElement" not in source, module
        assert "addEventListener" not in source, module
