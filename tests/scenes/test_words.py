"""The words on signs, as they are set."""

import numpy as np

from playground.scenes.words import character_centers, word_aspect, word_mask


def test_a_word_touches_all_sides_of_its_mask() -> None:
    mask = np.asarray(word_mask("ZOO"))
    assert all(edge.any() for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    assert word_aspect("ZOO") == mask.shape[1] / mask.shape[0] > 1


def test_the_centers_of_characters_run_through_the_word() -> None:
    centers = character_centers("BAKERY")
    assert len(centers) == 6
    assert 0 < centers[0] < 1 / 6 < 5 / 6 < centers[-1] < 1
    assert sorted(centers) == list(centers)


def test_words_do_not_stay_in_memory_for_ever() -> None:
    for number in range(600):
        word_mask(str(number))
    assert word_mask.cache_info().currsize < 500
