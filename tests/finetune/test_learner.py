"""What the adapter learns from: tokens in the places where transformers has them, and no padding."""

import pytest
import torch
from PIL import Image

from playground.checkpoints.catalog import BUNDLED
from playground.finetune.batches import LessonBatches
from playground.finetune.learner import IGNORED, LoraLearner
from playground.finetune.lessons import Lesson
from playground.finetune.loop import load_to_teach
from playground.finetune.teaching import Teaching
from playground.pictures.reader import read_image
from playground.question import Question
from playground.regions import Region


@pytest.fixture(scope="module")
def learner() -> LoraLearner:
    made = LoraLearner(load_to_teach(BUNDLED), Teaching(rank=4, vision=True, location_weight=1.0))
    made.set_learning(is_learning=False)
    return made


def test_the_loss_is_that_of_transformers_and_padding_has_no_part_in_it(
    learner: LoraLearner, lessons: list[Lesson]
) -> None:
    images = [lesson.read() for lesson in lessons]
    prompts = [lesson.prompt(image.resolution_wh) for lesson, image in zip(lessons, images, strict=True)]
    answers = [lesson.answer(image.resolution_wh) for lesson, image in zip(lessons, images, strict=True)]
    rows = learner.rows(prompts, answers)
    lengths = [learner.num_tokens(answer) for answer in answers]
    assert len(set(lengths)) > 1
    assert [int((row != IGNORED).sum()) for row in rows.labels] == lengths
    assert (rows.decoder_inputs[:, 0] == 2).all()
    assert (rows.decoder_inputs[0, 1 : lengths[0]] == rows.labels[0, : lengths[0] - 1]).all()
    with torch.no_grad():
        pixels = torch.cat([learner.pixels(image.pixels) for image in images])
        features = learner.encode(pixels)
        together = learner.loss(features, rows)
        alone = [
            learner.loss(features[place : place + 1], learner.rows([prompt], [answer]))
            for place, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        ]
        pictured = ["<image>" * features.shape[1] + prompts[0]]
        ids = learner.loaded.tokenizer.for_transformers(pictured, return_tensors="pt")["input_ids"]
        ids = torch.cat([ids[:, 1 : features.shape[1] + 1], ids[:, :1], ids[:, features.shape[1] + 1 :]], 1)
        labels = learner.rows(prompts[:1], answers[:1]).labels
        theirs = learner.adapted.get_base_model()(input_ids=ids, pixel_values=pixels[:1], labels=labels).loss
    weighted = sum(loss * length for loss, length in zip(alone, lengths, strict=True)) / sum(lengths)
    assert together.item() == pytest.approx(weighted.item(), rel=1e-4)
    assert alone[0].item() == pytest.approx(theirs.item(), rel=1e-4)


def test_the_head_is_left_out_and_the_tower_learns_only_where_that_is_wanted(learner: LoraLearner) -> None:
    names = [name for name, weights in learner.adapted.named_parameters() if weights.requires_grad]
    assert all(".lora_" in name for name in names)
    parts = {part for name in names for part in name.split(".") if part.endswith(("proj", "fc1", "fc2", "qkv"))}
    assert parts == {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2", "qkv", "proj"}
    assert not [name for name in names if "lm_head" in name or "shared" in name]


def test_what_is_left_open_the_checkpoint_decides_and_what_is_given_stays() -> None:
    bundled = Teaching(vision=True).settled(is_small=True, is_bundled=True)
    assert (bundled.location_blur, bundled.views) == (2.5, 80)
    large = Teaching().settled(is_small=False, is_bundled=False)
    assert (large.location_blur, large.views) == (0.0, 8)
    assert (bundled.learning_rate or 0) > (large.learning_rate or 0) > 0
    given = Teaching(learning_rate=1e-4, views=3, location_blur=0.0)
    assert given.settled(is_small=True, is_bundled=True) == given
    with pytest.raises(ValueError, match="pasted must be at least 0, but got -1"):
        Teaching(pasted=-1)


def test_what_is_rehearsed_is_every_other_lesson_however_much_there_is(learner: LoraLearner) -> None:
    image = read_image(Image.new("RGB", (32, 32), "gray"))
    given = [Lesson(str(number), lambda: image, Question("<OD>"), is_rehearsed=number > 1) for number in range(12)]
    batches = LessonBatches(learner, given, Teaching(batch_size=4, views=1))
    chosen = [place for step in range(5) for place, _ in batches.at(step)]
    assert sorted(chosen[::2]) == [0] * 5 + [1] * 5
    assert sorted(chosen[1::2]) == list(range(2, 12))


def test_nothing_is_pasted_where_the_answer_would_be_longer_than_the_model_can_write(learner: LoraLearner) -> None:
    image = read_image(Image.new("RGB", (320, 320), "gray"))
    spots = [(20.0 * x, 20.0 * y) for x in range(12) for y in range(10)]
    cats = tuple(Region("cat", (x, y, x + 8, y + 8)) for x, y in spots)
    many = Lesson("many", lambda: image, Question("<OD>"), cats)
    one = Lesson(
        "one", lambda: image, Question("<OD>"), (Region(" ".join(["a very long name"] * 10), (10, 10, 60, 60)),)
    )
    batches = LessonBatches(learner, [many, one], Teaching(views=9, pasted=4))
    for number in range(9):
        _, rows = batches.batch([(0, number)])
        assert rows.labels.shape[1] <= learner.max_tokens
