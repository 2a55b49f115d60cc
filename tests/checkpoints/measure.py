"""What the original layout costs to load beside the native one: `python -m tests.checkpoints.measure [base|large]`.

Prints the table of docs/checkpoints.md; with `answers` behind the size, whether both say the same instead. Large takes
6 GB of disk and 4 GB of memory, for its answers 8 GB.
"""

import argparse
import gc
import itertools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import BartConfig, Florence2Config, Florence2ForConditionalGeneration
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from playground.bench.skeleton import skeleton
from playground.checkpoints import loader
from playground.checkpoints.catalog import resolve
from playground.checkpoints.convert import convert
from playground.events import Decoding
from playground.inference.engine import Engine
from playground.inference.prepared import prepare
from playground.pictures.reader import read_image
from playground.scenes.scene import make_scene
from playground.tasks import get_task
from tests.checkpoints.original import write_base
from tests.inference.asking import ask, tokens_of

SEED = 1_047_252  # of a drawn scene
_LOAD = """
import resource, sys, time
from pathlib import Path
import torch
from playground.checkpoints import loader
from playground.checkpoints.catalog import resolve
from playground.inference.prepared import prepare
folder = Path(sys.argv[1])
started = time.perf_counter()
prepare(loader.load(resolve(str(folder)), folder, device="cpu", precision=sys.argv[2]))
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""


def large(folder: Path) -> Path:
    """Write a Florence-2-large of the true size, 4096 positions, with weights that are not drawn."""
    wide = {"d_model": 1024, "max_position_embeddings": 4096, "vocab_size": 51_328}
    for part in ("encoder", "decoder"):
        wide |= {f"{part}_layers": 12, f"{part}_attention_heads": 16, f"{part}_ffn_dim": 4096}
    vision = Florence2VisionConfig(
        embed_dim=[256, 512, 1024, 2048], num_heads=[8, 16, 32, 64], num_groups=[8, 16, 32, 64], projection_dim=1024
    )
    config = Florence2Config(text_config=BartConfig(**wide).to_dict(), vision_config=vision.to_dict())
    torch.set_default_dtype(torch.float16)
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    return folder


def measure(folder: Path, precision: str) -> tuple[float, float]:
    """Return the seconds and the gigabytes at most of the best of three loads."""
    command = [sys.executable, "-c", _LOAD, str(folder), precision]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    return min(float(seconds) for seconds, _ in runs), min(float(peak) for _, peak in runs)


def answers(folder: Path) -> list[list[tuple[int, float | None]]]:
    """Return the tokens of some answers with their log probabilities, in float32, greedy and of three beams."""
    image = read_image(make_scene(SEED).image)
    loaded = loader.load(resolve(str(folder)), folder, device="cpu", precision="float32")
    engine = Engine(loaded, prepare(loaded), image_cache_bytes=0, prompt_cache_bytes=0)
    prompts = [get_task(task).fill() for task in ("<OD>", "<MORE_DETAILED_CAPTION>")]
    found = []
    for prompt, num_beams in itertools.product(prompts, (1, 3)):
        events = ask(engine, image, prompt, decoding=Decoding(num_beams, 20))
        found.append([(token.id, token.logprob) for token in tokens_of(events)])
    engine.close()
    gc.collect()
    return found


def compare_answers(made: Path, original: Path, native: Path) -> str:
    """Return a sentence on the answers of weights as they were made and of those that went through the other layout."""
    for file in native.iterdir():  # what is beside the weights, which the made ones lack
        if file.name not in ("config.json", "model.safetensors"):
            shutil.copy(file, made / file.name)
    ones, others = answers(made), answers(original)
    pairs = [pair for one, other in zip(ones, others, strict=True) for pair in zip(one, other, strict=True)]
    if [[token for token, _ in one] for one in ones] != [[token for token, _ in other] for other in others]:
        raise SystemExit(f"The answers differ: {ones} and {others}.")
    num_kinds = len({token for (token, _), _ in pairs})
    # Not 0: the rows of the table behind the last word are noise in the one, and the mean of all in the other.
    difference = max(abs((one or 0.0) - (other or 0.0)) for (_, one), (_, other) in pairs)
    return (
        f"The same {len(pairs)} tokens in {len(ones)} answers, {num_kinds} different ones, with log probabilities that "
        f"differ by {difference:.1g} at most."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("size", nargs="?", choices=("base", "large"), default="base")
    parser.add_argument(
        "what", nargs="?", choices=("cost", "answers"), default="cost", help="answers: what both say, in float32"
    )
    arguments = parser.parse_args()
    size = arguments.size
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "made"
        shutil.copytree(skeleton(), made) if size == "base" else large(made)
        original = write_base(made, Path(temporary) / "original")
        convert(original, Path(temporary) / "native")  # whose tokenizer is the same
        if arguments.what == "answers":
            print(compare_answers(made, original, Path(temporary) / "native"))
            return
        for precision in ("float32", "bfloat16"):
            (seconds, peak), (native_seconds, native_peak) = (
                measure(folder, precision) for folder in (original, Path(temporary) / "native")
            )
            native_said, said = f"{native_seconds:.2f} s, {native_peak:.2f} GB", f"{seconds:.2f} s, {peak:.2f} GB"
            print(f"| {size}, {precision} | {native_said} | {said} |")


if __name__ == "__main__":
    main()
