"""Which lessons a step takes and how each is seen: the same for a seed, whenever it is asked for."""

import random
from collections.abc import Sequence

import torch
from PIL import Image

from playground.finetune.learner import LoraLearner, TokenRows
from playground.finetune.lessons import Lesson
from playground.finetune.pasting import Scraps, paste
from playground.finetune.teaching import Teaching
from playground.finetune.views import view
from playground.inference.caches import TensorCache

_CACHE_BYTES = 700_000_000  # of the features of views, or of their pixels: some 400 of Florence-2-base
_MAX_SIDES = 2  # a picture is not larger than so many times what the model sees, before it is seen otherwise


class LessonBatches:
    """The views of lessons as features and token rows. Where the tower is frozen, a view is encoded once."""

    def __init__(self, learner: LoraLearner, lessons: Sequence[Lesson], teaching: Teaching) -> None:
        self._learner = learner
        self._lessons = lessons
        self._teaching = teaching
        self._scraps = Scraps(lessons)
        self._kept = TensorCache[tuple[torch.Tensor, str, str]](_CACHE_BYTES)

    def at(self, step: int) -> list[tuple[int, int]]:
        """Return the lessons of a step by their places, each with the number of its view; every one in each epoch."""
        size, count = self._teaching.batch_size * self._teaching.accumulate, len(self._lessons)
        chosen = []
        for position in range(step * size, (step + 1) * size):
            epoch, place = divmod(position, count)
            order = random.Random(f"{self._teaching.seed} order {epoch}").sample(range(count), count)
            number = random.Random(f"{self._teaching.seed} view {position}").randrange(self._teaching.views or 1)
            chosen.append((order[place], number))
        return chosen

    def batch(self, chosen: Sequence[tuple[int, int]]) -> tuple[torch.Tensor, TokenRows]:
        """Return the features of views, rows x positions x width, and what is asked and answered about each."""
        views = [self._view(place, number) for place, number in chosen]
        stacked = torch.cat([kept for kept, *_ in views])
        features = self._learner.encode(stacked) if self._learner.learns_vision else stacked
        return features, self._learner.rows([prompt for _, prompt, _ in views], [answer for *_, answer in views])

    def _view(self, place: int, number: int) -> tuple[torch.Tensor, str, str]:
        """Return the features of a view, or its pixels where the tower learns, its prompt and its answer."""
        kept = self._kept.get((place, number))
        if kept is None:
            image, seen = self._sized(place)
            if number:
                image, seen = self._seen_otherwise(place, number, image, seen)
            pixels = self._learner.pixels(image)
            tensor = pixels if self._learner.learns_vision else self._learner.encode(pixels)
            kept = (tensor, seen.prompt(image.size), seen.answer(image.size))
            self._kept.keep((place, number), kept)
        return kept

    def _seen_otherwise(
        self, place: int, number: int, image: Image.Image, lesson: Lesson
    ) -> tuple[Image.Image, Lesson]:
        """Return the view of a number: with things of other lessons, unless the answer would then be too long."""
        rng = random.Random(f"{self._teaching.seed} {lesson.name} {place} {number}")
        fuller, more = image, lesson
        for scrap in self._scraps.choose(rng, place, self._teaching.pasted):
            source, giver = self._sized(scrap.lesson)
            fuller, more = paste(rng, fuller, more, source, giver.regions[scrap.region])
        if self._learner.num_tokens(more.answer(image.size)) <= self._learner.max_tokens:
            image, lesson = fuller, more
        return view(rng, image, lesson)

    def _sized(self, place: int) -> tuple[Image.Image, Lesson]:
        """Return a lesson's picture, of not many more pixels than the model sees, and the lesson in its pixels."""
        return _at_most(self._lessons[place], self._learner.image_side * _MAX_SIDES)


def _at_most(lesson: Lesson, side: int) -> tuple[Image.Image, Lesson]:
    """Return a lesson's picture, of at most so many pixels a side, and the lesson in its pixels."""
    image = lesson.read().pixels
    width, height = image.size
    small = (min(width, side), min(height, side))
    if small == image.size:
        return image, lesson
    x, y = small[0] / width, small[1] / height
    return image.resize(small, Image.Resampling.BICUBIC, reducing_gap=2.0), lesson.scaled(x, y)
