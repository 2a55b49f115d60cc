"""Write any Florence-2 as a native checkpoint, so that others can load it too.

    python -m playground.checkpoints.convert FOLDER OUT [--adapter ADAPTER]

FOLDER has either layout, in safetensors or in pickles. Pickles are opened by a process of its own, see `unpickle`.
With ADAPTER, the folder of a LoRA of it, the weights are written as they are with that merged into them.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from playground.checkpoints import unpickle
from playground.checkpoints.catalog import DESCRIPTION, Checkpoint, read_json, resolve, with_adapter
from playground.checkpoints.files import check_folder, is_complete, pickle_files, stored_tensors, weight_files
from playground.checkpoints.layout import post_processing
from playground.checkpoints.loader import assemble, load_checked, read_adapted
from playground.checkpoints.parts import TORCH_DTYPES, Parts
from playground.checkpoints.plain import Tokenizer
from playground.checkpoints.preprocessing import Preprocessing
from playground.errors import CheckpointUnavailable, PlaygroundError

_CARRIED_OVER = ("README*", "LICEN[CS]E*", "NOTICE*")
_MEGABYTES_FOR_TORCH = 6_000  # of address space that importing it reserves; what it uses is a tenth


def convert(folder: Path, out: Path, adapter: Path | None = None) -> str:
    """Write the checkpoint of a folder natively to another one, which appears at once or not at all.

    `adapter` is the folder of a LoRA that is merged into it. Returns a sentence on what was written. Raises
    CheckpointUnavailable.
    """
    if not folder.is_dir():
        raise CheckpointUnavailable(
            f"{folder} is not a folder. Fetch a checkpoint with `hf download ID --local-dir FOLDER`."
        )
    if out.exists():
        raise CheckpointUnavailable(f"{out} exists already. Name a folder that does not.")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{out.name}-unfinished-", dir=out.parent) as unfinished:
        opened = _without_pickles(folder, Path(unfinished) / "opened")
        written = Path(unfinished) / "written"
        base = replace(resolve(str(opened)), title=folder.name)
        said = _write(with_adapter(base, str(adapter)) if adapter else base, opened, written, adapter)
        for origin in filter(None, (folder, adapter)):
            _carry_over(origin, written)
        for path in written.iterdir():
            path.chmod(0o644)  # safetensors makes its files for their owner alone
        written.rename(out)
    return f"{out}: {said}"


def _carry_over(origin: Path, out: Path) -> None:
    """Copy what is for people, and add what is said of the tasks: of two origins the second one has the last word."""
    for pattern in _CARRIED_OVER:
        for path in origin.glob(pattern):
            shutil.copyfile(path, out / path.name)
    facts, described = origin / DESCRIPTION, out / DESCRIPTION
    if facts.is_file():
        known = read_json(described) if described.is_file() else {}
        described.write_text(json.dumps(known | read_json(facts), indent=2, ensure_ascii=False), encoding="utf-8")


def _write(checkpoint: Checkpoint, folder: Path, out: Path, adapter: Path | None) -> str:
    import torch
    from transformers import Florence2Processor

    def write() -> str:
        adapted, dtype = read_adapted(checkpoint, folder, adapter), _dtype(folder)
        parts = adapted.parts
        model = assemble(checkpoint, parts, getattr(torch, dtype))
        model.save_pretrained(out)
        images = parts.image_processor
        images = images.for_transformers() if isinstance(images, Preprocessing) else images
        tokenizer = parts.tokenizer
        tokenizer = tokenizer.for_transformers if isinstance(tokenizer, Tokenizer) else tokenizer
        tokenizer.model_max_length = parts.config.text_config.max_position_embeddings
        processor: Any = Florence2Processor
        processor(images, tokenizer, post_processor_config=post_processing(parts.banned_phrases)).save_pretrained(out)
        return " ".join(filter(None, (_said(parts, model, dtype), adapted.notice)))

    return load_checked(checkpoint, folder, write, adapter)


def _said(parts: Parts, model: Any, dtype: str) -> str:
    millions = sum(weights.numel() for weights in model.parameters()) / 1e6
    return f"{millions:.0f} million parameters in {dtype}, from {parts.layout.value} to transformers' own."


def _dtype(folder: Path) -> str:
    """Return the number format that most of the weights have."""
    sizes: Counter[str] = Counter()
    for path in weight_files(folder):
        for tensor in stored_tensors(path).values():
            sizes[TORCH_DTYPES.get(tensor.dtype, "float32")] += math.prod(tensor.shape)
    return sizes.most_common(1)[0][0]


# --- Pickles


def _without_pickles(folder: Path, opened: Path) -> Path:
    """Return the folder if its weights are safetensors, else another one in which they are."""
    pickles = pickle_files(folder)
    if is_complete(resolve(str(folder)), folder) or not pickles:
        return folder
    opened.mkdir()
    for path in folder.iterdir():
        if path.suffix in (".json", ".txt"):
            shutil.copy(path, opened)
    (opened / "pytorch_model.bin.index.json").unlink(missing_ok=True)
    for path in pickles:
        _unpickle(path, opened / f"{path.stem}.safetensors")
    _name_as_weights(opened)
    check_folder(resolve(str(opened)), opened)
    return opened


def _name_as_weights(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if len(files) == 1:
        files[0].rename(folder / "model.safetensors")
        return
    weight_map = {name: path.name for path in files for name in stored_tensors(path)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")


def _unpickle(source: Path, target: Path) -> None:
    megabytes = _MEGABYTES_FOR_TORCH + 3 * source.stat().st_size // 2**20
    script = str(Path(unpickle.__file__))
    arguments = (str(source.resolve()), str(target.resolve()), str(megabytes))
    finished = subprocess.run(
        [sys.executable, "-I", "-B", script, *arguments],  # isolated, and writes no bytecode
        env={name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ},
        cwd=target.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode == 0:
        return
    lines = finished.stderr.strip().splitlines()
    why = lines[-1].rstrip(".")[:200] if lines else f"exit code {finished.returncode}"
    if finished.returncode == unpickle.NO_MEMORY:
        why = f"it takes more than the {megabytes / 1000:.0f} GB that it may have"
    raise CheckpointUnavailable(f"{source.name} was not opened as weights: {why}. Do not use it, or ask who made it.")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m playground.checkpoints.convert", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a checkpoint in any layout")
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder that does not exist yet")
    parser.add_argument("--adapter", type=Path, metavar="ADAPTER", help="the folder of a LoRA to merge into it")
    arguments = parser.parse_args()
    try:
        print(convert(arguments.folder, arguments.out, arguments.adapter))
    except PlaygroundError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
