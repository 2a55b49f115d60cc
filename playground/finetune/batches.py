"""Which lessons a step takes and how each is seen: the same for a seed, whenever it is asked for."""

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from PIL import Image

from playground.finetune import cutting
from playground.finetune.learner import LoraLearner, TokenRows
from playground.finetune.lessons import Lesson
from playground.finetune.pasting import Scrap, Scraps, paste
from playground.finetune.teaching import Teaching
from playground.finetune.views import resized, view
from playground.inference.caches import TensorCache

_CACHE_BYTES = 700_000_000  # of the features of views, or of their pixels: some 400 of Florence-2-base
# A view is not larger than so many times what the model sees. It is taken from a larger picture where there is one, so
# that what is seen nearer is sharp: things that are labeled only where they are small are known where they are large.
_MAX_SIDES, _MAX_SOURCE_SIDES = 2, 4


class LessonBatches:
    """The views of lessons as features and token rows. Where the tower is frozen, a view is encoded once."""

    def __init__(self, learner: LoraLearner, lessons: Sequence[Lesson], teaching: Teaching) -> None:
        self._learner = learner
        self._lessons = lessons
        self._teaching = teaching
        sides = ([place for place, one in enumerate(lessons) if one.is_rehearsed is which] for which in (False, True))
        self._sides = [places for places in sides if places]
        self._scraps = Scraps(lessons)
        self._with_outlines: dict[int, Lesson] = {}
        self._kept = TensorCache[tuple[torch.Tensor, str, str]](_CACHE_BYTES)

    def at(self, step: int) -> list[tuple[int, int]]:
        """Return the lessons of a step by their places, each with the number of its view.

        Every one comes in each epoch. Those that are rehearsed are every other one, however many there are.
        """
        size, seed = self._teaching.batch_size * self._teaching.accumulate, self._teaching.seed
        chosen = []
        for position in range(step * size, (step + 1) * size):
            turn, side = divmod(position, len(self._sides))
            places = self._sides[side]
            epoch, place = divmod(turn, len(places))
            order = random.Random(f"{seed} order {side} {epoch}").sample(places, len(places))
            number = random.Random(f"{seed} view {position}").randrange(self._teaching.views or 1)
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
            image, seen = self._seen_otherwise(place, number) if number else self._sized(place, _MAX_SIDES)
            pixels = self._learner.pixels(image)
            tensor = pixels if self._learner.learns_vision else self._learner.encode(pixels)
            kept = (tensor, seen.prompt(image.size), seen.answer(image.size))
            self._kept.keep((place, number), kept)
        return kept

    def _seen_otherwise(self, place: int, number: int) -> tuple[Image.Image, Lesson]:
        """Return the view of a number: with things of other lessons, unless the answer would then be too long."""
        image, lesson = self._sized(place, _MAX_SOURCE_SIDES)
        rng = random.Random(f"{self._teaching.seed} {lesson.name} {place} {number}")
        scraps = self._scraps.choose(rng, place, self._teaching.pasted)
        if scraps:
            fuller, more = self._with_scraps(rng, place, scraps)
            if self._learner.num_tokens(more.answer(fuller.size)) <= self._learner.max_tokens:
                image, lesson = fuller, more
        return view(rng, image, lesson, self._at_most(image.size, _MAX_SIDES))

    def _with_scraps(self, rng: random.Random, place: int, scraps: Sequence[Scrap]) -> tuple[Image.Image, Lesson]:
        """Return a lesson with things of others in its picture."""
        image, lesson = self._sized(place, _MAX_SOURCE_SIDES, outlined=True)
        for scrap in scraps:
            source, giver = self._sized(scrap.lesson, _MAX_SOURCE_SIDES, outlined=True)
            image, lesson = paste(rng, image, lesson, source, giver.regions[scrap.region])
        return image, replace(lesson, regions=tuple(replace(region, polygons=()) for region in lesson.regions))

    def _sized(self, place: int, sides: int, *, outlined: bool = False) -> tuple[Image.Image, Lesson]:
        """Return a lesson's picture, of at most so many times what the model sees, and the lesson in its pixels."""
        image = self._lessons[place].read().pixels
        lesson = self._outlined(place, image) if outlined else self._lessons[place]
        return resized(image, lesson, self._at_most(image.size, sides))

    def _outlined(self, place: int, image: Image.Image) -> Lesson:
        if place not in self._with_outlines:
            self._with_outlines[place] = cutting.outlined(image, self._lessons[place])
        return self._with_outlines[place]

    def _at_most(self, size: tuple[int, int], sides: int) -> tuple[int, int]:
        longest = self._learner.image_side * sides
        return min(size[0], longest), min(size[1], longest)
