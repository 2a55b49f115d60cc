"""Rules and searches beside transformers' `generate`, token by token, for several answers at the same time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from transformers import GenerationConfig
from transformers.generation import LogitsProcessorList, NoRepeatNGramLogitsProcessor
from transformers.modeling_outputs import BaseModelOutput

from playground.checkpoints.loader import LoadedCheckpoint
from playground.inference.decoding import (
    DecodingRules,
    Ended,
    Leading,
    News,
    Search,
    Written,
    beam_search,
    greedy_search,
)
from playground.inference.kernels import Preparations, full
from playground.inference.language import Decoder
from playground.inference.scores import Scores
from playground.inference.steps import DecodingSteps, GrowingSteps, StaticSteps
from playground.scenes.scene import make_scene

PROMPTS = [  # of different lengths, about different pictures; their answers have different lengths too
    (4, "Locate the objects with category name in the image."),
    (5, "What does the image describe?"),
    (6, "What is the polygon mask of region <loc_200><loc_160><loc_510><loc_440>"),
]
NUM_ANSWERS = 5  # two of them to noise, which is answered on and on


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def config(**rules: Any) -> GenerationConfig:
    defaults = {"decoder_start_token_id": 2, "eos_token_id": 2, "pad_token_id": 1, "num_beams": 1}
    return GenerationConfig(**{**defaults, **rules})


# --- Rules


@pytest.mark.parametrize("ngram_size", [0, 1, 2, 3])
def test_an_ngram_is_never_repeated(ngram_size: int) -> None:
    torch.manual_seed(5)
    rules = DecodingRules.of(config(no_repeat_ngram_size=ngram_size))
    assert rules is not None
    theirs = LogitsProcessorList([NoRepeatNGramLogitsProcessor(ngram_size)] if ngram_size else [])
    ids = [2]
    for _ in range(8):
        logits = torch.randn(9) + torch.tensor([0.0, 0, 0, 0, 0, 5, 5, 0, 0])  # two tokens that want to come back
        allowed = theirs(torch.tensor([ids]), logits[None].clone())[0]
        assert {*rules.banned(ids)} == {*torch.isinf(allowed).nonzero().flatten().tolist()}
        ids.append(int(allowed.argmax()))


def test_the_first_token_may_be_forced() -> None:
    rules = DecodingRules.of(config(forced_bos_token_id=4))
    assert rules is not None
    assert [rules.forced(ids) for ids in ([2], [2, 4])] == [4, None]


def test_an_answer_may_have_several_ends() -> None:
    rules = DecodingRules.of(GenerationConfig(decoder_start_token_id=0, eos_token_id=[2, 3]))
    assert rules is not None
    assert (rules.start, rules.ends) == (0, {2, 3})


@pytest.mark.parametrize(
    "rule",
    [
        {"suppress_tokens": [5]}, {"repetition_penalty": 1.2}, {"min_new_tokens": 3}, {"bad_words_ids": [[4]]},
        {"num_beams": 3, "early_stopping": "never"}, {"decoder_start_token_id": None}, {"eos_token_id": None},
        {"forced_bos_token_id": 2},
    ],
)  # fmt: skip
def test_other_rules_are_left_to_generate(rule: dict[str, Any]) -> None:
    assert DecodingRules.of(config(**rule)) is None


# --- Searches


@dataclass(frozen=True)
class Asked:
    """Encoder hidden states of several prompts, padded to one length, and what answers them."""

    model: Any
    steps: DecodingSteps
    states: torch.Tensor
    mask: torch.Tensor

    def answers_of_generate(self, rules: GenerationConfig) -> list[list[int]]:
        """What transformers writes, from the start token to the end, without padding."""
        outputs = BaseModelOutput(last_hidden_state=self.states)
        rows = self.model.generate(
            encoder_outputs=outputs, attention_mask=self.mask.long(), generation_config=rules
        ).tolist()
        for row in rows:
            while row[-1] == rules.pad_token_id:
                row.pop()
        return rows

    def answered(self, search: Search, num_beams: int, stop_after: int | None = None) -> list[list[News]]:
        """Let a search write the answers; returns what it told at each step."""
        write = self.steps.start(self.states, self.mask, num_beams=num_beams)
        step = next(search)
        told = [list(step.news)]
        while step.last_ids:
            step = search.send(None if len(told) - 1 == stop_after else write(step))
            told.append(list(step.news))
        return told


@pytest.fixture(scope="module", params=["growing", "static"])
def asked(loaded: LoadedCheckpoint, processor: Any, request: pytest.FixtureRequest) -> Asked:
    torch.manual_seed(5)
    rows = []
    with torch.inference_mode():
        for seed, prompt in PROMPTS:
            features = loaded.model.get_image_features(
                processor.image_processor(make_scene(seed).image, return_tensors="pt")["pixel_values"]
            ).pooler_output[0]
            ids = torch.tensor(processor.tokenizer(prompt)["input_ids"])
            inputs = torch.cat([features, loaded.model.get_input_embeddings()(ids)])
            rows.append(loaded.model.get_encoder()(inputs_embeds=inputs[None]).last_hidden_state[0])
        rows += [torch.randn(length, rows[0].shape[1]) for length in (30, 20)]
        states = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = torch.arange(states.shape[1]) < torch.tensor([[len(row)] for row in rows])
        decoder, scores = Decoder(Preparations(loaded.weights), full, torch.float32), Scores(loaded.location_ids)
        steps = {
            "growing": lambda: GrowingSteps(decoder, scores),
            "static": lambda: StaticSteps(decoder, scores, max_rows=24, prompt_positions=512, tokens=512),
        }
        return Asked(loaded.model, steps[request.param](), states, mask)


def search_of(rules: GenerationConfig) -> Search:
    covered = DecodingRules.of(rules)
    assert covered is not None
    limits = {"num_answers": NUM_ANSWERS, "max_new_tokens": rules.max_new_tokens}
    if rules.num_beams == 1:
        return greedy_search(covered, **limits)
    return beam_search(covered, rules, **limits)


def written(told: list[list[News]], answer: int) -> list[int]:
    news = [one for step in told for one in step]
    return [one.token_id for one in news if isinstance(one, Written) and one.answer == answer]


BEAMS = {"num_beams": 3, "early_stopping": True}
SOME_RULES = [
    pytest.param({}, id="greedy"),
    pytest.param({"no_repeat_ngram_size": 2}, id="greedy, no pair twice"),
    pytest.param({"no_repeat_ngram_size": 3, "forced_bos_token_id": 0}, id="greedy, the published rules"),
    pytest.param({"eos_token_id": [2, 300]}, id="greedy, two ends"),
    pytest.param(BEAMS, id="the first three beams to end"),
    pytest.param({"num_beams": 3, "early_stopping": False}, id="beams, as long as there is hope"),
    pytest.param({"num_beams": 2, "early_stopping": False, "length_penalty": 2.0}, id="beams, long answers"),
    pytest.param({"num_beams": 4, "early_stopping": True, "length_penalty": -1.0}, id="beams, short answers"),
    pytest.param({**BEAMS, "no_repeat_ngram_size": 2}, id="beams, no pair twice"),
    pytest.param({**BEAMS, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0}, id="beams, the published rules"),
    pytest.param({**BEAMS, "eos_token_id": [2, 300]}, id="beams, two ends"),
]


@pytest.mark.parametrize("rules", SOME_RULES)
@pytest.mark.parametrize("max_new_tokens", [1, 20])
def test_a_search_writes_what_generate_writes(asked: Asked, rules: dict[str, Any], max_new_tokens: int) -> None:
    settings = config(**rules, max_new_tokens=max_new_tokens)
    told = asked.answered(search_of(settings), settings.num_beams)
    expected = asked.answers_of_generate(settings)
    ends = {2, 300} if "eos_token_id" in rules else {2}
    for answer, (start, *ids) in enumerate(expected):
        assert start == 2
        assert written(told, answer) == ids
        (end,) = [one for step in told for one in step if isinstance(one, Ended) and one.answer == answer]
        assert end.is_complete is (ids[-1] in ends)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_answers_of_different_lengths_are_written_in_as_many_steps_as_the_longest(asked: Asked, num_beams: int) -> None:
    settings = config(num_beams=num_beams, early_stopping=num_beams > 1, max_new_tokens=30)
    told = asked.answered(search_of(settings), num_beams)
    lengths = [len(written(told, answer)) for answer in range(NUM_ANSWERS)]
    assert len({*lengths}) >= 3
    assert len(told) - 1 == max(lengths) == 30


def test_a_greedy_search_tells_each_token_at_once(asked: Asked) -> None:
    settings = config(max_new_tokens=30)
    told = asked.answered(search_of(settings), 1)
    unfinished = list(range(NUM_ANSWERS))
    for news in told[1:]:
        assert [one.answer for one in news if isinstance(one, Written)] == unfinished
        ended = [one.answer for one in news if isinstance(one, Ended)]
        unfinished = [answer for answer in unfinished if answer not in ended]
    assert unfinished == []


def test_a_beam_search_tells_who_leads_and_then_the_whole_answer(asked: Asked) -> None:
    settings = config(**BEAMS, max_new_tokens=30)
    told = asked.answered(search_of(settings), 3)
    for answer in range(NUM_ANSWERS):
        news = [[one for one in step if one.answer == answer] for step in told]
        num_leading = sum(isinstance(one, Leading) for step in news for one in step)
        assert [len(one.ids) for step in news for one in step if isinstance(one, Leading)] == list(range(num_leading))
        kinds = [type(one) for step in news for one in step]
        assert kinds == [*[Leading] * num_leading, *[Written] * len(written(told, answer)), Ended]


@pytest.mark.parametrize("rules", [pytest.param({}, id="greedy"), pytest.param(BEAMS, id="beams")])
def test_every_token_is_measured_by_the_logits_it_was_chosen_from(asked: Asked, rules: dict[str, Any]) -> None:
    settings = config(**rules, no_repeat_ngram_size=2, max_new_tokens=12)
    told = asked.answered(search_of(settings), settings.num_beams)
    decoder = asked.model.model.language_model.decoder
    for answer in range(NUM_ANSWERS):
        ids = written(told, answer)
        states = asked.states[answer : answer + 1, asked.mask[answer]]
        rows = decoder(torch.tensor([[2, *ids[:-1]]]), encoder_hidden_states=states).last_hidden_state[0]
        logprobs = asked.model.lm_head(rows).log_softmax(-1)
        measures = [one.measures for step in told for one in step if isinstance(one, Written) and one.answer == answer]
        expected = [float(row[token_id]) for row, token_id in zip(logprobs, ids, strict=True)]
        assert [logprob for logprob, _ in measures] == pytest.approx(expected, abs=1e-3)


# --- Stopping


@pytest.mark.parametrize("num_steps", [0, 1, 7])
def test_a_greedy_search_that_is_stopped_ends_with_what_is_written(asked: Asked, num_steps: int) -> None:
    settings = config(max_new_tokens=30)
    whole = asked.answered(search_of(settings), 1)
    told = asked.answered(search_of(settings), 1, stop_after=num_steps)
    for answer in range(NUM_ANSWERS):
        assert written(told, answer) == written(whole, answer)[:num_steps]
    unfinished = [answer for answer in range(NUM_ANSWERS) if len(written(whole, answer)) > num_steps]
    assert told[-1] == [Ended(answer, is_complete=False) for answer in unfinished]


@pytest.mark.parametrize("num_steps", [0, 1, 4])
def test_a_beam_search_that_is_stopped_ends_with_what_leads(asked: Asked, num_steps: int) -> None:
    settings = config(**BEAMS, max_new_tokens=30)
    whole = asked.answered(search_of(settings), 3)
    told = asked.answered(search_of(settings), 3, stop_after=num_steps)
    leading = {one.answer: one.ids for one in whole[num_steps] if isinstance(one, Leading)}
    assert len(leading) >= NUM_ANSWERS - 1  # one may have ended
    for answer, ids in leading.items():
        assert written(told, answer) == list(ids)
    assert [one for one in told[-1] if isinstance(one, Ended)] == [Ended(a, is_complete=False) for a in leading]


def test_a_stopped_beam_search_keeps_an_answer_that_has_ended(asked: Asked) -> None:
    settings = config(**BEAMS, max_new_tokens=30)
    whole = asked.answered(search_of(settings), 3)
    first = next(step for step, news in enumerate(whole) if any(isinstance(one, Ended) for one in news))
    told = asked.answered(search_of(settings), 3, stop_after=first)
    ended = [one for one in whole[first] if isinstance(one, Ended)]
    assert [one for one in told[first] if isinstance(one, Ended)] == ended == [Ended(ended[0].answer, is_complete=True)]
    assert written(told, ended[0].answer) == written(whole, ended[0].answer)
