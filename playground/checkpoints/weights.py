"""The weights of a checkpoint, read a module at a time when it is made ready, so that they are never held twice."""

import copy
import mmap
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from playground.checkpoints.layout import EMBEDDING, TIED_TO_EMBEDDING
from playground.checkpoints.plain import Config

_LARGE_TABLE = 2**24  # bytes, of which an answer needs a few rows


@dataclass(frozen=True)
class Weights:
    """What reads the modules of a checkpoint. Two with the same identity are the same, whoever reads them."""

    config: Config
    bare: nn.Module  # of `bare_model`
    tensors: Mapping[str, Any]  # what gives a weight when it is sliced, by its native name
    dtype: torch.dtype
    device: str
    files: str  # what tells them from those of other files, and in other formats
    changed: frozenset[str] = frozenset()  # the names of those that an adapter changes
    adapter: str = ""  # what tells it from others
    _pages: list[mmap.mmap] = field(init=False, default_factory=list)  # of tables that lie in files
    _tables: WeakValueDictionary[str, nn.Parameter] = field(init=False, default_factory=WeakValueDictionary)

    def stored_name(self, name: str) -> str | None:
        """Return the name under which the files hold a weight: the table of embeddings has several, as it is tied."""
        lm_head, *embeddings = TIED_TO_EMBEDDING
        tables = [
            EMBEDDING,
            *([lm_head] if self.config.tie_word_embeddings else []),
            *(embeddings if self.config.text_config.tie_word_embeddings else []),
        ]
        names = [name, *(tables if name in tables else [])]
        return next((one for one in names if one in self.tensors), None)

    def identity(self, name: str) -> tuple[str, ...]:
        """Return what stands for a module and its weights; its name comes last."""
        is_changed = any(changed.startswith(f"{name}.") for changed in self.changed)
        return (self.files, self.adapter if is_changed else "", name)

    @torch.inference_mode(mode=False)  # in which a program may load one checkpoint, and another one outside of it
    def module(self, name: str) -> nn.Module:
        """Return a module with its weights, read anew."""
        module = copy.deepcopy(self.bare.get_submodule(name))
        module.load_state_dict({key: self._read(f"{name}.{key}") for key in module.state_dict()}, assign=True)
        return module.eval().requires_grad_(requires_grad=False)

    def _read(self, name: str) -> nn.Parameter:
        stored = self.stored_name(name)
        assert stored is not None, "what is missing was refused when it was loaded"
        if (table := self._tables.get(stored)) is not None:
            return table
        weight = nn.Parameter(in_format(self.tensors[stored], self.dtype).to(self.device), requires_grad=False)
        if stored == self.stored_name(EMBEDDING):
            if self.device == "cpu" and weight.nbytes >= _LARGE_TABLE:
                weight = nn.Parameter(self._in_file(weight), requires_grad=False)
            self._tables[stored] = weight
        return weight

    def _in_file(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the same numbers in a file without a name, of which only what is used comes into memory.

        Not in the file that they were read from: whoever writes to that one would mix two models.
        """
        with suppress(OSError), TemporaryFile() as file:  # where there is no room for it, they stay in memory
            file.write(weight.view(torch.uint8).numpy().data)
            file.flush()
            # Of a copy that is made when it is written to, which nobody does: PyTorch warns of what is only to be read.
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            self._pages.append(pages)
            return torch.frombuffer(pages, dtype=weight.dtype).view(weight.shape)
        return weight

    def let_go(self) -> None:
        """Keep no more of a table in memory than what is used from now on."""
        for pages in self._pages:
            if hasattr(mmap, "MADV_DONTNEED"):
                pages.madvise(mmap.MADV_DONTNEED)


def in_format(tensor: Any, dtype: torch.dtype) -> torch.Tensor:
    """Return a weight of a file in a number format; what an adapter changes is rounded once, when it is read."""
    weight: torch.Tensor = tensor.read(dtype) if hasattr(tensor, "read") else tensor[...].to(dtype)
    return weight
