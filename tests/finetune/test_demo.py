"""The proof without a network in short: `python -m playground.finetune --demo` takes minutes."""

from dataclasses import replace
from pathlib import Path

import pytest

from playground.finetune.demo import DEMO_TEACHING, teach_demo

# In so few steps a shape is learned where it is not seen in too many ways, and at a high rate.
SHORT = replace(DEMO_TEACHING, steps=150, learning_rate=3e-3, decay=0.3, views=8, pasted=0,
                measure_every=150, max_measured=4)  # fmt: skip


@pytest.mark.timeout(900)  # a minute of one core, where nothing else runs
def test_a_kind_that_it_has_never_seen_is_learned_and_what_it_knew_is_kept(tmp_path: Path) -> None:
    said: list[str] = []
    figures = teach_demo(said.append, tmp_path / "owls", teaching=SHORT, rehearse=0, scenes=16)
    assert figures.new_map50_before == 0
    assert min(figures.new_map50, figures.new_map50_unseen_colors) > 0.5, figures  # 0.69 and 0.67
    assert figures.old_map50_loss < 0.1, figures  # 0.05
    assert figures.steps == SHORT.steps
    assert len(said) > 4
