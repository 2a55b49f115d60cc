"""Kernels beside the layers that they stand for."""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from playground.inference import kernels
from playground.inference.kernels import Quickest, activated, attend, attend_by_products, int8, packed
from tests.inference.asking import relative_error


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    torch.manual_seed(5)
    with torch.inference_mode():
        yield


def test_packed_kernels_are_the_layer() -> None:
    layer = torch.nn.Linear(96, 160).bfloat16()
    rows = torch.randn(70, 96).bfloat16()
    gelu, expected = torch.nn.GELU(), layer(rows)
    assert torch.equal(activated(layer, torch.relu, pack=False)(rows), torch.relu(expected))
    assert relative_error(packed(layer)(rows), expected) < 1e-3
    assert relative_error(activated(layer, torch.relu, pack=True)(rows), torch.relu(expected)) < 1e-3
    assert relative_error(activated(layer, gelu, pack=True)(rows), gelu(expected)) < 5e-3


@pytest.mark.parametrize("has_bias", [True, False])
def test_weights_of_eight_bits_are_off_by_less_than_a_hundredth(has_bias: bool) -> None:
    layer = torch.nn.Linear(768, 320, bias=has_bias)
    rows = torch.randn(3, 768)
    assert relative_error(int8(layer)(rows), layer(rows)) < 0.012
    layer.weight.data[7] = 0  # an output that is always 0 has no largest weight to round to
    assert int8(layer)(rows)[:, 7].tolist() == pytest.approx([float(layer(rows)[0, 7])] * 3, abs=1e-3)


def test_many_outputs_are_off_by_no_more_than_their_weights() -> None:
    layer = torch.nn.Linear(96, 20_000, bias=False)
    rounded = copy.deepcopy(layer)
    scales = layer.weight.abs().amax(1, keepdim=True) / 127
    rounded.weight = torch.nn.Parameter((layer.weight / scales).round() * scales)
    rows = torch.randn(3, 96) * torch.tensor([[1.0], [30.0], [0.0]])
    # In bfloat16 the rows alone would be off by 0.002, which is what a processor without such integers has.
    bound = 1e-3 if torch.cpu.get_capabilities().get("avx512_vnni") else 5e-3
    assert relative_error(int8(layer)(rows)[0], rounded(rows)[0]) < bound
    assert relative_error(int8(layer)(rows)[1], rounded(rows)[1]) < bound
    assert not int8(layer)(torch.zeros(1, 96)).any()


@pytest.mark.parametrize("outputs", [320, 20_000])
def test_a_row_comes_to_the_same_whatever_stands_beside_it(outputs: int) -> None:
    kernel = int8(torch.nn.Linear(768, outputs))
    rows = torch.randn(24, 768) * torch.logspace(-3, 3, 24)[:, None]
    alone = torch.cat([kernel(row[None]) for row in rows])
    for together in (3, 5, 8, 24):
        assert torch.equal(torch.cat([kernel(some) for some in rows.split(together)]), alone)


@pytest.mark.parametrize("batch", [1, 5])
def test_attention_in_bfloat16_is_attention(batch: int) -> None:
    queries, keys, values = torch.randn(3, batch, 4, 400, 32)
    mask = torch.ones(batch, 1, 1, 400, dtype=torch.bool)
    mask[-1, ..., 300:] = False
    for given in (None, mask):
        exact = attend(queries, keys, values, given)
        less = attend(queries.bfloat16(), keys.bfloat16(), values.bfloat16(), given)
        assert less.shape == (batch, 400, 128)
        assert relative_error(less, exact) < 0.01


def test_attention_by_products_is_attention() -> None:
    queries, keys, values = torch.randn(2, 4, 3, 32), torch.randn(2, 4, 70, 32), torch.randn(2, 4, 70, 32)
    mask = torch.zeros(2, 1, 1, 70)
    mask[1, ..., 50:] = -torch.inf
    for given in (None, mask):
        expected = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=given)
        torch.testing.assert_close(attend_by_products(queries, keys, values, given), expected)


def test_the_way_that_is_quicker_here_is_taken_and_the_first_one_where_little_is_gained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []
    seconds = {"first": 1.0, "little": 0.85, "much": 0.5}

    def way(name: str) -> Callable[..., torch.Tensor]:
        def act(rows: torch.Tensor) -> torch.Tensor:
            taken.append(name)
            return rows

        return act

    monkeypatch.setattr(kernels, "_seconds", lambda act, rows: seconds[(act(rows), taken.pop())[1]])
    for others, quickest in ((["little"], "first"), (["little", "much"], "much")):
        attention = Quickest(*map(way, ["first", *others]))
        for positions in (590, 601):  # of about one size
            attention(torch.zeros(1, positions, 4))
        assert [taken.pop(), taken.pop(), len(attention._chosen)] == [quickest, quickest, 1]
        seconds["first"] = 0.1
        attention(torch.zeros(1, 9, 4))
        assert taken.pop() == "first"
        seconds["first"] = 1.0


def test_two_engines_that_begin_together_measure_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = threading.Lock()

    def seconds(way: Callable[..., torch.Tensor], rows: torch.Tensor) -> float:
        assert measuring.acquire(blocking=False), "something else is measured"
        time.sleep(0.01)
        measuring.release()
        return 1.0

    monkeypatch.setattr(kernels, "_seconds", seconds)
    ways = [Quickest(torch.relu, torch.tanh) for _ in range(2)]
    with ThreadPoolExecutor(4) as threads:
        assert len([*threads.map(lambda number: ways[number % 2](torch.zeros(1, 9, 4)), range(4))]) == 4
