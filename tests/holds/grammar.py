"""Feed the grammar with what no model should write: random tokens, and answers of scenes with some of them changed.

    python -m tests.holds.grammar --count 200000

For each kind of answer: nothing is ever raised, regions lie inside the picture, an answer that is read token by token
is the one that is read at once, and none takes long.
"""

import random
import time
from collections.abc import Sequence
from typing import Any

from playground.events import Token
from playground.grammar import Parser, parse, tokenize
from playground.locations import NUM_BINS, location_token
from playground.scenes.examples import examples
from playground.scenes.scene import make_scene
from playground.tasks import TASKS, OutputKind
from tests.holds.command import Order, main

SLOWEST_SECONDS = 0.5

_TASK_OF = {task.output_kind: task.id for task in reversed(TASKS)}
_TEXTS = ("", " ", "\n", "car", "é", "中", "\ud83d", "\x00", "<", ">", "<loc_5>", "</s>", "a, b", "×", "\u202e",
          "x" * 400)  # fmt: skip
_SPECIALS = ("<sep>", "<poly>", "</poly>", "<and>", "<s>", "</s>", "<pad>", "<unk>", "<mask>", "<od>", "<loc_1000>",
             "<loc_-1>", "<loc_>", "<loc_01>", "<image>", "")  # fmt: skip
_LOGPROBS = (None, 0.0, -0.5, -50.0, 1e4, float("inf"), float("-inf"), float("nan"))
_PICTURES = ((1, 1), (1, 20_000), (20_000, 1), (640, 480), (1000, 2000), (7, 13))


def carry_out(order: Order) -> dict[str, Any]:
    """Try `count` answers of each kind; returns how many were tried, and what went wrong."""
    deadline, failures = order.deadline(), []
    figures: dict[str, Any] = {"tried": 0, "regions": 0, "slowest_ms": 0.0}
    for kind in OutputKind:
        real = _real_answers(kind)
        for number in range(order.count):
            if time.monotonic() > deadline:
                break
            rng = random.Random(f"{order.seed} {kind} {number}")
            tokens, picture = make_tokens(rng, real), rng.choice(_PICTURES)
            began = time.perf_counter()
            try:
                figures["regions"] += check(kind, tokens, picture, whole=number % 10 == 0)
            except Exception as error:
                failures.append(f"{kind} {number}: {type(error).__name__}: {error}")
            took = 1000 * (time.perf_counter() - began)
            figures["tried"] += 1
            figures["slowest_ms"] = round(max(figures["slowest_ms"], took), 1)
            if took > 1000 * SLOWEST_SECONDS:
                failures.append(f"{kind} {number}: took {took:.0f} ms")
    return figures | {"failures": failures}


def make_tokens(rng: random.Random, real: Sequence[Sequence[Token]]) -> list[Token]:
    """Return random tokens, or in half of the cases a right answer that was cut, doubled, mixed and spelled out."""
    if rng.random() < 0.5:
        return [_any_token(rng) for _ in range(rng.randint(0, 40))]
    tokens = list(rng.choice(real))
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(tokens))
        change = rng.randrange(5)
        if change == 0:
            tokens[at:] = []
        elif change == 1:
            tokens[at : at + rng.randint(1, 5)] = []
        elif change == 2:
            tokens[at:at] = tokens[: rng.randint(1, 8)]
        elif change == 3:
            tokens[at:at] = [_any_token(rng) for _ in range(rng.randint(1, 3))]
        else:
            rng.shuffle(tokens)
    return tokens


def check(kind: OutputKind, tokens: Sequence[Token], resolution_wh: tuple[int, int], *, whole: bool) -> int:
    """Read an answer token by token; returns how many regions it has. With `whole`, as a text too."""
    parser = Parser(kind, resolution_wh)
    for token in tokens:
        parser.feed(token)
    answer = parser.finish()
    width, height = resolution_wh
    for region in answer.regions:
        x_min, y_min, x_max, y_max = region.xyxy
        assert 0 <= x_min <= x_max <= width, region
        assert 0 <= y_min <= y_max <= height, region
        for x, y in [point for polygon in region.polygons or () for point in polygon]:
            assert 0 <= x <= width, region
            assert 0 <= y <= height, region
        assert region.score is None or 0 <= region.score <= 1, region
    if whole:
        text = "".join(token.text for token in tokens)
        characters = Parser(kind, resolution_wh)
        for token in tokenize(text):
            for piece in [token.text] if token.is_special else token.text:
                characters.feed(Token(-1, piece, is_special=token.is_special))
        assert characters.finish() == parse(text, _TASK_OF[kind], resolution_wh)
    return len(answer.regions)


def _any_token(rng: random.Random) -> Token:
    if rng.random() < 0.55:
        mass = rng.choice((None, 0.0, 0.5, 1.0))
        return Token(-1, location_token(rng.randrange(NUM_BINS)), rng.choice(_LOGPROBS), mass, is_special=True)
    if rng.random() < 0.5:
        return Token(-1, rng.choice(_SPECIALS), rng.choice(_LOGPROBS), is_special=True)
    return Token(rng.randrange(50_000), rng.choice(_TEXTS), rng.choice(_LOGPROBS))


def _real_answers(kind: OutputKind) -> list[list[Token]]:
    scenes = [make_scene(seed, resolution_wh=(64, 64), supersampling=1) for seed in range(12)]
    asked = [example for scene in scenes for example in examples(scene).values()]
    tasks = {task.id for task in TASKS if task.output_kind is kind}
    answers = [tokenize(example.answer((64, 64))) for example in asked if example.task in tasks]
    return answers or [tokenize("car<loc_1><loc_2><loc_3><loc_4>")]


if __name__ == "__main__":
    main("grammar", "Feed the grammar with random and changed answers.", carry_out, count=200_000)
