"""The card of an adapter: what it was taught, how, and what came of it. A page that the hub shows."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playground.checkpoints.catalog import Checkpoint
from playground.finetune.lessons import Lesson
from playground.finetune.teaching import MeasuredPoint, Teaching


@dataclass(frozen=True, slots=True)
class TaughtAdapter:
    """What a card tells. `sha256` are those of the files, by their names; `before` and `after` are the points of the
    weights that the teaching began with, and of those that were kept.
    """

    base: Checkpoint
    lessons: Sequence[Lesson]
    held_out: Sequence[Lesson]
    teaching: Teaching
    before: MeasuredPoint
    after: MeasuredPoint
    quality_name: str
    seconds: float
    sha256: Mapping[str, str]
    versions: Mapping[str, str]


def write_card(taught: TaughtAdapter) -> str:
    """Return the card in Markdown, with the header that the hub reads."""
    base = taught.base.name if taught.base.is_local else taught.base.source
    labeled = [lesson for lesson in taught.lessons if not lesson.is_rehearsed]
    tasks = Counter(lesson.question.task for lesson in labeled)
    labels = Counter(region.label for lesson in labeled for region in lesson.regions if region.label)
    return "\n".join(
        [
            "---",
            f"base_model: {base}",
            "library_name: peft",
            "pipeline_tag: image-text-to-text",
            "tags: [lora, florence-2]",
            "---",
            "",
            f"# A LoRA adapter of {taught.base.title}",
            "",
            f"Taught {', '.join(f'`{task}` ({count} lessons)' for task, count in tasks.items())} "
            f"from {_pictures(labeled)}{_rehearsed(taught.lessons)}; "
            f"measured on {_pictures(taught.held_out)} that were held out.",
            "",
            "```sh",
            f"python app.py --checkpoint {base} --adapter THIS_FOLDER",
            "```",
            "",
            *_measured(taught),
            *(_table("label", "regions", labels.most_common(50)) if labels else []),
            *_table("setting", "value", taught.teaching.to_dict().items()),
            f"{taught.after.step} steps are in these weights; {taught.seconds:.0f} seconds were spent. "
            f"With {', '.join(f'{name} {version}' for name, version in taught.versions.items())}.",
            "",
            *_table("file", "SHA-256", taught.sha256.items()),
        ]
    )


def _pictures(lessons: Sequence[Lesson]) -> str:
    count = len({lesson.name for lesson in lessons})
    return f"{count} picture" if count == 1 else f"{count} pictures"


def _rehearsed(lessons: Sequence[Lesson]) -> str:
    own = [lesson for lesson in lessons if lesson.is_rehearsed]
    return f", and what it answered before about {_pictures(own)} without labels" if own else ""


def _measured(taught: TaughtAdapter) -> list[str]:
    if taught.after.quality is None:
        return ["Nothing was held out, so that nobody knows how good it is.", ""]
    rows = [
        ("before", taught.before.quality, taught.before.held_out_loss),
        ("after", taught.after.quality, taught.after.held_out_loss),
    ]
    lines = [f"| held-out pictures | {taught.quality_name} | loss |", "|---|--:|--:|"]
    return [*lines, *(f"| {name} | {quality:.3f} | {loss:.3f} |" for name, quality, loss in rows), ""]


def _table(first: str, second: str, rows: object) -> list[str]:
    told = [f"| {_cell(key)} | {_cell(value)} |" for key, value in dict(rows).items()]  # type: ignore[call-overload]
    return [f"| {first} | {second} |", "|---|---|", *told, ""]


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("|", "\\|").replace("\n", " ")
