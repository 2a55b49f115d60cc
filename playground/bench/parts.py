"""What each part of an answer takes on a CPU, beside its floor: its operations, or the bytes that it must move.

Times are those of the passes that answer. Work is counted on transformers' own model, which has the same parts as
modules: operations by PyTorch, bytes as weights read once, what comes in read once, and what goes out written once.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils.flop_counter import FlopCounterMode

from playground.bench.roofline import Roofline
from playground.inference.prepared import PreparedModel
from playground.inference.threads import computing_with

_REPEATS = 3
_STEPS = 40  # of a token each
_EMBEDDING, _CONVOLUTIONS, _NORMS = "embedding convolutions", "other convolutions", "norms"
_WINDOW, _CHANNEL, _MLP, ENCODER = "window attention", "channel attention", "MLP", "prompt encoder"
_OWN, _CROSS, _PRODUCTS = "token: own attention", "token: cross attention", "token: products"
_OUTPUT, _TOKEN_NORMS = "token: output projection", "token: norms"
REST = "token: Python and the rest"

_OF_MODULE = {
    "window_attn": _WINDOW, "channel_attn": _CHANNEL, "ffn": _MLP, "conv1": _CONVOLUTIONS, "conv2": _CONVOLUTIONS,
    "conv": _EMBEDDING, "norm": _NORMS, "norm1": _NORMS, "norm2": _NORMS,
}  # fmt: skip
_OF_LAYER = {
    "self_attn_qkv": _OWN, "self_attn_out": _OWN, "cross_attn_q": _CROSS, "cross_attn_out": _CROSS, "fc1": _PRODUCTS,
    "fc2": _PRODUCTS,
}  # fmt: skip
# What `VisionTower` does after each time that it asks whether to go on.
_BLOCKS = (_CONVOLUTIONS, _WINDOW, _CONVOLUTIONS, _MLP, _CONVOLUTIONS, _CHANNEL, _CONVOLUTIONS, _MLP)

PARTS = (
    _EMBEDDING, _CONVOLUTIONS, _WINDOW, _CHANNEL, _MLP, _NORMS, ENCODER, _OWN, _CROSS, _PRODUCTS, _OUTPUT,
    _TOKEN_NORMS, REST,
)  # fmt: skip


# --- The floors


@dataclass
class Work:
    """Operations, two for each multiply-and-add, and bytes that must move."""

    operations: float = 0
    num_bytes: float = 0

    def floor_ms(self, best: Roofline) -> float:
        """Return the milliseconds that it takes at best."""
        return 1000 * max(self.operations / best.flops, self.num_bytes / best.bandwidth)


def work_of_picture(model: Any, side: int, positions: int) -> dict[str, Work]:
    """Count the work of a picture, and of a prompt of so many positions; the model may be on the meta device."""
    work: dict[str, Work] = defaultdict(Work)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():

        def begin(module: Any, _: Any) -> None:
            module.counted_before = counter.get_total_flops()

        def end(part: str, module: Any, inputs: Any, output: Any) -> None:
            out = getattr(output, "last_hidden_state", output)
            tensors = [*module.parameters(), inputs[0] if inputs else out, out]
            work[part].operations += counter.get_total_flops() - module.counted_before
            work[part].num_bytes += sum(tensor.numel() for tensor in tensors) * model.dtype.itemsize

        parts = [(ENCODER, model.model.language_model.encoder)]
        for name, module in model.model.vision_tower.named_modules():
            if part := _OF_MODULE.get(name.rpartition(".")[2]):
                parts.append((part, module))
        for part, module in parts:
            module.register_forward_pre_hook(begin)
            module.register_forward_hook(partial(end, part))
        model.get_image_features(torch.empty(1, 3, side, side, dtype=model.dtype, device=model.device))
        width = model.config.text_config.d_model
        prompt = torch.empty(1, positions, width, dtype=model.dtype, device=model.device)
        model.model.language_model.encoder(inputs_embeds=prompt)
    return work


def work_of_token(model: Any, positions: int, bytes_per_weight: int, bytes_per_key: int) -> dict[str, Work]:
    """Count the work of a token: the decoder's weights, and the keys and values of the prompt.

    The keys and values of the answer itself are left out; they are a hundredth.
    """
    work: dict[str, Work] = defaultdict(Work)

    def add(part: str, *modules: Any) -> None:
        num_weights = sum(weights.numel() for module in modules for weights in module.parameters())
        work[part].operations += 2 * num_weights
        work[part].num_bytes += bytes_per_weight * num_weights

    for layer in model.model.language_model.decoder.layers:
        add(_OWN, layer.self_attn)
        add(_CROSS, layer.encoder_attn.q_proj, layer.encoder_attn.out_proj)
        add(_PRODUCTS, layer.fc1, layer.fc2)
        keys = 2 * positions * model.config.text_config.d_model
        work[_CROSS].operations += 2 * keys
        work[_CROSS].num_bytes += bytes_per_key * keys
    add(_OUTPUT, model.lm_head)
    return work


# --- The times


class _Clock:
    """Gives each moment to the part that is at work: to the inner one, where one is inside another."""

    def __init__(self) -> None:
        self.times: dict[str, float] = defaultdict(float)
        self._part, self._since = REST, time.perf_counter()

    def switch(self, part: str) -> str:
        """Let another part be at work, and return the one before."""
        now = time.perf_counter()
        self.times[self._part] += 1000 * (now - self._since)
        before, self._part, self._since = self._part, part, now
        return before

    def over(self, part: str, act: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, as a part."""

        def timed(*arguments: Any) -> Any:
            before = self.switch(part)
            try:
                return act(*arguments)
            finally:
                self.switch(before)

        return timed

    @contextmanager
    def over_norms(self, part: str) -> Iterator[None]:
        """Let all norms of PyTorch be a part."""
        before: list[str] = []

        def begin(module: Any, _: Any) -> None:
            if isinstance(module, torch.nn.LayerNorm):
                before.append(self.switch(part))

        def end(module: Any, *_: Any) -> None:
            if isinstance(module, torch.nn.LayerNorm):
                self.switch(before.pop())

        hooks = register_module_forward_pre_hook(begin), register_module_forward_hook(end)
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def part_times(
    model: PreparedModel, pixels: torch.Tensor, prompt: Sequence[int], depths: Sequence[int]
) -> dict[str, float]:
    """Return what each part of an answer takes; the model cannot be used for anything else from then on.

    `depths` are the numbers of pairs of blocks in each stage of the vision tower.
    """
    with torch.inference_mode(), computing_with(model.num_threads):
        rounds = [_times_of_picture(model, pixels, prompt, depths) for _ in range(_REPEATS)]
        times = min(rounds[1:], key=lambda times: sum(times.values()))
        inputs = torch.cat([model.encode_images(pixels)[0], model.embed_prompt(prompt)])[None]
        times |= _times_of_token(model, model.encode_prompts(inputs))
        return {part: times[part] for part in PARTS}


def _times_of_picture(
    model: PreparedModel, pixels: torch.Tensor, prompt: Sequence[int], depths: Sequence[int]
) -> dict[str, float]:
    clock, parts = _Clock(), iter([part for depth in depths for part in (_EMBEDDING, *_BLOCKS * depth)])

    def go_on() -> None:
        clock.switch(next(parts))

    with clock.over_norms(_NORMS):
        features = model.encode_images(pixels, go_on)
    clock.switch(REST)
    inputs = torch.cat([features[0], model.embed_prompt(prompt)])[None]
    clock.over(ENCODER, model.encode_prompts)(inputs)
    del clock.times[REST]
    return dict(clock.times)


def _times_of_token(model: PreparedModel, states: torch.Tensor) -> dict[str, float]:
    clock, decoder = _Clock(), model.decoder
    for layer in decoder._layers:
        for name, part in _OF_LAYER.items():
            setattr(layer, name, clock.over(part, getattr(layer, name)))
    decoder._output = clock.over(_OUTPUT, decoder._output)
    cache: Any = decoder.start(states)
    attend = cache.attend

    def attend_timed(queries: torch.Tensor, keys: torch.Tensor, *more: Any) -> Any:
        is_own = keys.shape[2] <= _STEPS  # tokens of the answer; a prompt has hundreds
        return clock.over(_OWN if is_own else _CROSS, attend)(queries, keys, *more)

    cache.attend = attend_timed
    with clock.over_norms(_TOKEN_NORMS):
        for step in range(_STEPS):
            if step == _STEPS // 2:  # the first half warms up
                clock.switch(REST)
                clock.times.clear()
            decoder.step(cache, torch.tensor([0]))
        clock.switch(REST)
    return {part: taken / (_STEPS - _STEPS // 2) for part, taken in clock.times.items()}
