"""The two paths to an answer that are compared, each in a process of its own.

Both are made to write the same published answer, token for token, so that neither says more than the other.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from playground.checkpoints.loader import Placement
from playground.one_engine import OneEngine
from playground.pictures.workers import PictureWorkers
from playground.question import Question
from playground.tasks import get_task

_SOME_STEPS = 64  # at the beginning and at the end of the longest answer
FIRST_TASK, SECOND_TASK = "<REGION_PROPOSAL>", "<OD>"

# What Florence-2-base finds in australia.jpg of huggingface.co/datasets/huggingface/documentation-images, with three
# beams: ten boxes, as recorded in transformers' integration tests of Florence-2.
RESOLUTION_WH = (1300, 876)
ANSWER_BINS = (
    0, 0, 998, 711, 0, 0, 419, 673, 0, 64, 364, 672, 764, 0, 998, 665, 525, 545, 921, 763, 163, 133, 365, 423, 0, 65,
    71, 658, 955, 148, 998, 661, 806, 675, 890, 759, 567, 678, 646, 761,
)  # fmt: skip

Times = dict[str, float]  # milliseconds, by what took them


@dataclass(slots=True)
class Seconds:
    """How long something took: on the wall, and of the processors by this process alone."""

    wall: float = 0.0
    processor: float = 0.0


@contextmanager
def _taking() -> Iterator[Seconds]:
    """Fill in how long the block takes."""
    wall, processor = time.perf_counter(), time.process_time()
    seconds = Seconds()
    yield seconds
    seconds.wall, seconds.processor = time.perf_counter() - wall, time.process_time() - processor


def picture(seed: int) -> Image.Image:
    """Return a picture that no path has seen. Its content does not matter to the time."""
    noise = np.random.default_rng(seed).integers(0, 256, (*RESOLUTION_WH[::-1], 3), np.uint8)
    return Image.fromarray(noise)


class Plain:
    """Microsoft's sample code: float32 on a CPU, float16 on a GPU, `generate`, everything anew for every question."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        import torch
        from transformers import Florence2ForConditionalGeneration, Florence2Processor

        from playground.checkpoints.loader import choose_device

        self._device = choose_device(device)
        dtype = torch.float32 if self._device == "cpu" else torch.float16
        self._processor: Any = Florence2Processor.from_pretrained(folder)
        model: Any = Florence2ForConditionalGeneration.from_pretrained(folder, dtype=dtype)
        self._model = model.to(self._device).eval()
        self._answer = answer_ids(self._processor.tokenizer)

    def ask(self, image: Image.Image, task: str, num_beams: int) -> Times:
        """Answer a question; returns the times."""
        import torch
        from transformers import LogitsProcessor, LogitsProcessorList

        answer, watch = self._answer, _Watch(is_on_gpu=self._device.startswith("cuda"))

        class Forced(LogitsProcessor):
            def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
                watch.mark("first_token")
                forced = torch.full_like(scores, -torch.inf)  # with any number, other beams may end before
                forced[:, answer[input_ids.shape[1] - 1]] = 0
                return forced

        with watch.over(self._model.model.vision_tower, "encode_image"), \
             watch.over(self._model.get_encoder(), "encode_prompt"), torch.inference_mode():  # fmt: skip
            inputs = self._processor(text=task, images=image, return_tensors="pt").to(self._device, self._model.dtype)
            ids = self._model.generate(
                input_ids=inputs["input_ids"], pixel_values=inputs["pixel_values"], max_new_tokens=len(answer),
                num_beams=num_beams, logits_processor=LogitsProcessorList([Forced()]),
            )  # fmt: skip
            text = self._processor.batch_decode(ids, skip_special_tokens=False)[0]
            self._processor.post_process_generation(text, task=task, image_size=image.size)
        watch.mark("total")
        times = watch.times | {"first_region": watch.times["total"]}
        return times | {"per_token": (times["total"] - times["first_token"]) / (len(answer) - 1)}

    def loop_seconds(self, _: Image.Image, paths: Sequence[Path]) -> Seconds:
        """Answer about pictures one after another, with three beams as the sample code."""
        with _taking() as seconds:
            for path in paths:
                with Image.open(path) as image:
                    self.ask(image.convert("RGB"), FIRST_TASK, num_beams=3)
        return seconds


class _Watch:
    """Times since the beginning, and how long modules took."""

    def __init__(self, *, is_on_gpu: bool) -> None:
        self._is_on_gpu = is_on_gpu
        self._began = self._now()
        self.times: Times = {}

    def mark(self, name: str) -> None:
        self.times.setdefault(name, (self._now() - self._began) * 1000)

    def _now(self) -> float:
        """The time, once a GPU has done what it was told."""
        if self._is_on_gpu:
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def over(self, module: Any, name: str) -> Iterator[None]:
        began = 0.0

        def begin(*_: object) -> None:
            nonlocal began
            began = self._now()

        def end(*_: object) -> None:
            self.times[name] = (self._now() - began) * 1000

        hooks = [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


class Ours:
    """The playground's predictor, as the page asks it."""

    def __init__(self, folder: Path, device: str = "auto", precision: str = "auto") -> None:
        from playground.checkpoints import catalog, loader
        from playground.inference.decoding import DecodingRules
        from playground.inference.engine import Engine
        from playground.inference.memory import share_arena
        from playground.inference.prepared import prepare
        from playground.predictor import Predictor
        from playground.settings import Settings

        share_arena()  # as the page does
        megabyte, settings = 1_000_000, Settings()
        checkpoint = catalog.resolve(str(folder))
        loaded = loader.load(checkpoint, folder, device=device, precision=precision)
        self._answer = answer_ids(loaded.tokenizer)
        self._next_answer = self._answer
        path = self

        class Recorded(DecodingRules):
            def forced(self, ids: Sequence[int]) -> int:
                return path._next_answer[len(ids) - 1]

        self._model, self._loaded = prepare(loaded, rules=Recorded), loaded
        engine = Engine(
            loaded,
            self._model,
            image_cache_bytes=settings.image_cache_megabytes * megabyte,
            prompt_cache_bytes=settings.prompt_cache_megabytes * megabyte,
        )
        self._longest, self._group_size = engine.max_answer_tokens, engine.max_asks
        self._predictor = Predictor(OneEngine(engine))
        self.placement = loaded.placement

    def ask(self, image: Image.Image, task: str, num_beams: int) -> Times:
        """Answer a question; returns the times."""
        decoding = "greedy" if num_beams == 1 else "careful"
        began = time.perf_counter()
        prediction = self._predictor.predict(image, task, decoding=decoding)
        total = (time.perf_counter() - began) * 1000
        said = {name: value for name, value in asdict(prediction.timings).items() if value is not None}
        per_token = (said["total"] - said["first_token"]) / (len(self._answer) - 1)
        return said | {"total": total, "per_token": per_token}

    def loop_seconds(self, _: Image.Image, paths: Sequence[Path]) -> Seconds:
        """Answer about pictures one after another."""
        with _taking() as seconds:
            for path in paths:
                self._predictor.predict(path, FIRST_TASK)
        return seconds

    def job_seconds(self, _: Image.Image, paths: Sequence[Path]) -> Seconds:
        """Answer about pictures as a job does, with its journal; other processes read them."""
        from playground.annotate.job import run_job
        from playground.annotate.journal import Journal
        from playground.annotate.reading import SourceReader
        from playground.annotate.sources import find_sources

        question = Question(FIRST_TASK, checkpoint=self._predictor.engines.current_name)
        with TemporaryDirectory() as folder, closing(PictureWorkers()) as workers:
            workers.read(paths[0])  # a program that begins is not what is measured
            with _taking() as seconds, closing(Journal(Path(folder), question)) as journal:
                reader = SourceReader(workers.read)
                events = run_job(
                    self._predictor,
                    reader,
                    find_sources(paths),
                    question,
                    journal=journal,
                    group_size=self._group_size,
                )
                for _event in events:
                    pass
            return seconds

    def token_times(self, image: Image.Image) -> tuple[float, float]:
        """Return the milliseconds of a token at the beginning and at the end of the longest answer there can be."""
        start, *boxes, _ = self._answer
        self._next_answer = [start, *islice(cycle(boxes), self._longest - 1)]
        times = [time.perf_counter() for _ in self._predictor.run(image, Question(FIRST_TASK))]
        self._next_answer = self._answer
        steps = 1000 * np.diff(times[-self._longest :])
        return float(np.median(steps[:_SOME_STEPS])), float(np.median(steps[-_SOME_STEPS:]))

    def part_times(self, image: Image.Image) -> Times:
        """Return the milliseconds of each part of an answer; after it nothing can be asked."""
        from playground.bench.parts import part_times
        from playground.inference.vision import pixel_values

        depths = self._loaded.parts.config.vision_config.depths
        prompt = self._loaded.tokenizer(get_task(SECOND_TASK).prompt)["input_ids"]
        return part_times(self._model, pixel_values(image, self._loaded.image_processor), prompt, depths)


def answer_ids(tokenizer: Any) -> list[int]:
    """Return the tokens of the answer, after the one that every answer starts with."""
    text = "<s>" + "".join(f"<loc_{bin_}>" for bin_ in ANSWER_BINS) + "</s>"
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


# --- Processes


class Worker:
    """A path in a process of its own; `ready_ms` is how long it took from nothing until it could answer."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        began = time.perf_counter()
        self._process = context.Process(target=_work, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        self.placement: Placement | None = self._receive()  # None: of the plain path
        self.ready_ms = (time.perf_counter() - began) * 1000

    def call(self, method: str, seed: int, *arguments: Any) -> Any:
        """Call a method of the path with the picture of a seed."""
        self._pipe.send((method, seed, *arguments))
        return self._receive()

    def peak_memory(self) -> int:
        """Return the most memory that the process has held, in bytes."""
        self._pipe.send("peak")
        peak: int = self._receive()
        return peak

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            raise RuntimeError("A process of the benchmark has ended; what it said stands above.") from None


def _work(pipe: Connection, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # In a thread that ends, as the page loads a model: OpenMP wakes its threads more slowly while another thread that
    # has used it is alive.
    with ThreadPoolExecutor(1) as loader:
        path = loader.submit(make, *arguments).result()
    pipe.send(getattr(path, "placement", None))
    while (question := pipe.recv()) is not None:
        if question == "peak":
            pipe.send(peak_memory())
        else:
            method, seed, *rest = question
            pipe.send(getattr(path, method)(picture(seed), *rest))


def peak_memory() -> int:
    """Return the most bytes that this process held so far in the memory of its GPU, or in that of the machine."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    status = Path("/proc/self/status")  # of Linux, where getrusage counts what the parent held when it started this
    if status.is_file():
        lines = status.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
