"""The table of tasks beside the prompts of transformers' processor."""

from itertools import groupby
from typing import Any

import pytest

from playground.errors import UnknownTask
from playground.tasks import DEFAULT_TASK, TASK_TOKENS, TASKS, Group, InputKind, OutputKind, Task, get_task

KINDS = {
    "pure_text": (OutputKind.TEXT, OutputKind.TEXT_WITH_BOX),
    "ocr": (OutputKind.QUADS,),
    "description_with_bboxes": (OutputKind.LABELED_BOXES,),
    "phrase_grounding": (OutputKind.LABELED_BOXES,),
    "bboxes": (OutputKind.BOXES,),
    "polygons": (OutputKind.POLYGONS,),
    "description_with_bboxes_or_polygons": (OutputKind.BOXES_OR_POLYGONS,),
}
CASCADES = [task for task in TASKS if task.then is not None]


def test_the_ids_and_titles_are_unique() -> None:
    assert len({task.id for task in TASKS}) == len({task.title for task in TASKS}) == len(TASKS) == 21


def test_all_tokens_of_the_processor_are_tasks_with_its_prompts(processor: Any) -> None:
    prompts = {**processor.task_prompts_without_inputs, **processor.task_prompts_with_input}
    assert {task.id: task.prompt for task in TASKS if task.id in TASK_TOKENS} == prompts
    assert len(TASK_TOKENS) == 15


def test_a_task_asks_for_an_input_where_its_prompt_has_one(processor: Any) -> None:
    with_input = {task.id for task in TASKS if task.id in TASK_TOKENS and task.input_kind is not InputKind.NONE}
    assert with_input == set(processor.task_prompts_with_input)


def test_the_kind_of_answer_is_the_processors(processor: Any) -> None:
    kinds = processor.tasks_answer_post_processing_type
    assert {token: get_task(token).output_kind in KINDS[kind] for token, kind in kinds.items()} == dict.fromkeys(
        TASK_TOKENS, True
    )


def test_the_groups_are_in_one_piece_and_in_the_order_of_their_headings() -> None:
    assert [group for group, _ in groupby(task.group for task in TASKS)] == list(Group)[1:]  # own tasks come first


def test_the_first_task_of_the_page_finds_every_object() -> None:
    assert DEFAULT_TASK.id == "<OD>"
    assert DEFAULT_TASK.title == "Find every object"


@pytest.mark.parametrize("task", CASCADES, ids=lambda task: task.id)
def test_a_cascade_asks_for_a_caption_and_then_for_its_phrases(task: Task) -> None:
    first_token, _, second_token = task.id.partition("+")
    assert task.prompt == get_task(first_token).prompt
    assert task.then == second_token == "<CAPTION_TO_PHRASE_GROUNDING>"
    assert get_task(second_token).input_kind is InputKind.SENTENCE


def test_there_is_a_cascade_for_each_caption() -> None:
    assert [task.id.partition("+")[0] for task in CASCADES] == [
        "<CAPTION>",
        "<DETAILED_CAPTION>",
        "<MORE_DETAILED_CAPTION>",
    ]


def test_each_text_field_has_an_example() -> None:
    assert {task.id for task in TASKS if task.input_hint} == {task.id for task in TASKS if task.input_kind.is_text}


LIKE_AN_OWN_ONE = [f"{DEFAULT_TASK.title} none -> text", "<OD> none -> text", "a\x07b none -> text"]


@pytest.mark.parametrize("task_id", ["<CAT>", "OD", "", "x" * 10_000, None, 3, ["<OD>"], {}, *LIKE_AN_OWN_ONE])
def test_an_unknown_task_is_refused_with_those_there_are(task_id: Any) -> None:
    with pytest.raises(UnknownTask, match=r"is not a task of this playground\. Tasks: <OD>, .*<CUSTOM>\.$") as caught:
        get_task(task_id)
    assert len(str(caught.value)) < 1000
