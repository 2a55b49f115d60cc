"""What the comparing page shows: updates by the names of components. When it is shown, `handlers` know."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from playground.agreement import Agreement, Piece, compare_regions, compare_words, share_of_words
from playground.drawing import ink_on
from playground.drawing.annotate import draw
from playground.drawing.colors import colors_of
from playground.drawing.styles import Look, default_styles
from playground.engines import Engines
from playground.events import RunStage
from playground.pictures.reader import InputImage
from playground.results import Prediction
from playground.ui import text
from playground.ui.compare.comparison import Comparison, TwoAnswers
from playground.ui.compare.components import AgreementData, OverData, WordsData
from playground.ui.components import BoxData, boxes_from
from playground.ui.server.files import save_jpeg
from playground.ui.session import Item
from playground.ui.shown import answer_text, shown_at_first
from playground.ui.taking import stage_of
from playground.ui.wiring import Updates

LEFT, RIGHT = 0, 1
SIDES = ("left", "right")
BOTH_COLOR, LEFT_COLOR, RIGHT_COLOR = "#14b8a6", "#f59e0b", "#6366f1"
_RIGHT_IDS = 100_000  # from which on a region is the right side's alone: what lights on both stages has one id
BESIDE, ON_TOP = "beside", "over"
EMPTY = ("The first answer appears here.", "The other answer appears here.")


class ShowingTwo:
    """What is shown of two answers, each by the checkpoint that gave it."""

    def __init__(self, engines: Engines, read_image: Callable[[str], InputImage]) -> None:
        self._engines = engines
        self._read_image = read_image

    def status(self, checkpoints: Sequence[str], line: text.Line | None) -> list[text.Line]:
        """Which checkpoints answer, and what the run is doing."""
        lines = [text.checkpoint_line(self._engines.status(name)) for name in dict.fromkeys(checkpoints)]
        return [*{line["text"]: line for line in lines}.values(), *([line] if line else [])]

    def tab(self, tab: Comparison, *, is_drawing: bool, keeps_regions: bool = False) -> Updates:
        """All that a page shows of a tab, as far as it is whole."""
        if tab.whole:
            return self.whole(tab.item, tab.whole)
        extra: dict[str, Any] = {} if keeps_regions else {"regions": []}
        return {
            "left": stage_of(tab.item, draw=is_drawing, **extra),
            "right": stage_of(tab.item, regions=[]),
            **{f"{side}_words": WordsData(empty=EMPTY[index]) for index, side in enumerate(SIDES)},
            "figures": AgreementData(),
            **_view(can_be_drawn=False),
        }

    def growing(self, item: Item, side: int, prediction: Prediction) -> Updates:
        """An answer of one side that is being written, in the colors of its labels."""
        seen = self._seen(prediction)
        boxes = boxes_from(seen, colors_of(region.label for region in seen.regions))
        alone = [box.model_copy(update={"id": box.id + side * _RIGHT_IDS}) for box in boxes]
        updates: Updates = {
            SIDES[side]: stage_of(item, boxes=alone, busy=not prediction.is_final, hidden=[]),
            f"{SIDES[side]}_words": _words([Piece(answer_text(prediction, seen), is_shared=True)], side),
        }
        if side == LEFT and prediction.stage is RunStage.WAITING:
            other = {"right": stage_of(item, regions=[], hidden=[]), "right_words": WordsData(empty=EMPTY[RIGHT])}
            return {**updates, **other, "figures": AgreementData(), **_view(can_be_drawn=False)}
        return updates

    def whole(self, item: Item, answers: TwoAnswers) -> Updates:
        """Two answers, colored by what both have and what only one has, and how far they agree."""
        left, right = map(self._seen, answers)
        agreement = compare_regions(left.regions, right.regions)
        texts = [answer_text(answer, seen) for answer, seen in zip(answers, (left, right), strict=True)]
        # What is found is compared by its place; the words are a list of it, in the order of the answer.
        is_found = bool(left.regions and right.regions)
        pieces = compare_words(*texts) if not is_found else tuple((Piece(text, is_shared=True),) for text in texts)
        ids = _ids(agreement)
        return {
            "left": stage_of(item, boxes=_boxes(left, ids[LEFT], LEFT_COLOR), hidden=[], alt=texts[LEFT]),
            "right": stage_of(item, boxes=_boxes(right, ids[RIGHT], RIGHT_COLOR), hidden=[], alt=texts[RIGHT]),
            "left_words": _words(pieces[LEFT], LEFT),
            "right_words": _words(pieces[RIGHT], RIGHT),
            "figures": _figures(agreement, texts, has_words=not is_found),
            **_view(can_be_drawn=bool(left.regions or right.regions)),
        }

    def over(self, item: Item, answers: TwoAnswers) -> Updates:
        """Both answers as drawn pictures, one over the other."""
        picture, (width, height) = self._read_image(item.display_path).pixels, item.resolution_wh
        left, right = (
            FileData(path=save_jpeg(draw(picture, seen, Look(default_styles(seen))), SIDES[side]))
            for side, seen in enumerate(map(self._seen, answers))
        )
        return {"over": OverData(left=left, right=right, w=width, h=height)}

    def _seen(self, prediction: Prediction) -> Prediction:
        """What of an answer is shown at first: the model is sure of it."""
        return shown_at_first(prediction, self._engines.status(prediction.checkpoint).checkpoint.min_score)


def _view(*, can_be_drawn: bool) -> Updates:
    """Both pictures side by side, and the choice to see them otherwise where there is something to draw."""
    return {"view": gr.update(visible=can_be_drawn, value=BESIDE), "over": OverData()}


def _ids(agreement: Agreement) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """The ids on both stages of the regions that a pair shares, by their index on either side."""
    return {pair.left: pair.left for pair in agreement.pairs}, {pair.right: pair.left for pair in agreement.pairs}


def _boxes(seen: Prediction, shared: Mapping[int, int], color: str) -> list[BoxData]:
    boxes = boxes_from(seen, {region.label: color for region in seen.regions})
    alone_from = _RIGHT_IDS if color == RIGHT_COLOR else 0
    return [
        box.model_copy(update={"id": shared[index], "color": BOTH_COLOR, "ink": ink_on(BOTH_COLOR)})
        if index in shared
        else box.model_copy(update={"id": alone_from + index})
        for index, box in enumerate(boxes)
    ]


def _words(pieces: Sequence[Piece], side: int) -> WordsData:
    shown = [{"text": piece.text, "only": not piece.is_shared} for piece in pieces if piece.text]
    return WordsData(pieces=shown, empty=EMPTY[side])


def _figures(agreement: Agreement, texts: Sequence[str], *, has_words: bool) -> AgreementData:
    figures = []
    pairs, only_left, only_right = (len(one) for one in (agreement.pairs, agreement.only_left, agreement.only_right))
    if pairs + only_left + only_right:
        figures += [
            _figure("on both sides", str(pairs), BOTH_COLOR),
            _figure("only left", str(only_left), LEFT_COLOR),
            _figure("only right", str(only_right), RIGHT_COLOR),
            _figure("mean IoU", "–" if agreement.mean_iou is None else f"{agreement.mean_iou:.2f}"),
        ]
    share = share_of_words(texts[LEFT], texts[RIGHT])
    if has_words and share is not None:
        figures.append(_figure("words alike", f"{share:.0%}"))
    return AgreementData(figures=figures, sentence=_sentence(agreement, texts))


def _figure(what: str, value: str, color: str = "") -> dict[str, str]:
    return {"what": what, "value": value, "color": color}


def _sentence(agreement: Agreement, texts: Sequence[str]) -> str:
    if agreement.num_renamed:
        count = agreement.num_renamed
        return f"Of what both have, {count} {'is' if count == 1 else 'are'} called by another name."
    is_alike = not agreement.only_left and not agreement.only_right and texts[LEFT] == texts[RIGHT]
    if is_alike and any(texts):
        return "Both sides say the same."
    return "" if any(texts) or agreement.pairs else "Neither side found anything."
