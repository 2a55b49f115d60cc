"""Keep Gradio from writing stubs for editors: a fifth of the processor time until the page is there.

Knows Gradio's internals, no page, and does not import Gradio: by then it would be too late.
"""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from typing import Any

_WRITES_STUBS = "gradio.component_meta"


def write_no_stubs() -> None:
    """Let each class of components be made without its source being read and a .pyi written beside it.

    To be called before Gradio is imported, which makes most of these classes then.
    """
    if module := sys.modules.get(_WRITES_STUBS):
        _silence(module)
    else:
        sys.meta_path.insert(0, _Finder())


def _silence(module: Any) -> None:
    module.create_or_modify_pyi = lambda *_: None


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == _WRITES_STUBS else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: Any) -> None:
        super().exec_module(module)
        _silence(module)
