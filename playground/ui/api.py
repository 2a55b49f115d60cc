"""The public endpoints and the MCP tools, over one predictor. Their docstrings are their documentation."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import api as add_endpoint
from PIL import Image

from playground.checkpoints.catalog import CATALOG
from playground.drawing.annotate import draw, is_too_large
from playground.drawing.styles import Look, default_styles
from playground.errors import ImageRejected, InputRejected
from playground.export import DRAWN_FORMATS, FORMATS, Annotated
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.question import DECODINGS, MERGES, Question
from playground.results import Prediction
from playground.settings import Settings
from playground.tasks import DEFAULT_TASK, Task
from playground.ui import text
from playground.ui.parts import TextAsSent
from playground.ui.picture import Picture, Upload, read_data_url
from playground.ui.server.calls import no_tool
from playground.ui.server.files import save_export, save_jpeg
from playground.ui.server.queue_limits import MODEL_QUEUE
from playground.ui.server.turns import COSTLY
from playground.ui.server.visitors import is_forwarded
from playground.ui.shown import shown_at_first
from playground.ui.streams import errors_for_the_user, paced, runner_of

_DRAWN_SIDE = 1600  # pixels of a drawing whose regions are too large to be drawn at full size


class Api:
    """What programs can ask; a picture is an `Upload`, as `picture.Picture` gives it."""

    def __init__(self, predictor: Predictor, settings: Settings) -> None:
        self._predictor = predictor
        self._runner = runner_of(predictor, settings)
        self._on_zero_gpu = settings.on_zero_gpu
        self._is_for_one_user = settings.is_for_one_user

    @no_tool
    def run(
        self,
        image: Upload | None,
        task: str,
        phrase: str = "",
        regions: list[list[float]] | None = None,
        checkpoint: str = "",
        decoding: str = "greedy",
        max_new_tokens: float | None = None,
        question: dict[str, Any] | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Ask Florence-2 about a picture. Streams predictions; the last one is final and comes with the drawn picture.

        Args:
            image: The picture: JPEG, PNG, WebP, AVIF, GIF, BMP, TIFF or HEIC, or the first page of a PDF.
            task: A task id of `/tasks`, such as "<OD>"; of a checkpoint's own task its token alone will do.
            phrase: Text for the tasks that need it: a sentence, or names separated by commas.
            regions: Boxes [x_min, y_min, x_max, y_max] in pixels of the upright picture, for the region tasks.
            checkpoint: A name of the catalog; empty for the one the playground runs.
            decoding: "greedy" or "careful" (three beams).
            max_new_tokens: Limit of the answer's length, a whole number; without one what the checkpoint can write.
            question: All of the above but the picture as one object, as a prediction carries it; it takes their place.
        """
        with errors_for_the_user():
            picture = self._predictor.read_image(_given(image).source)
            given: Any = regions
            single = Question(task, phrase, given, checkpoint, decoding, max_new_tokens)
            asked = single if question is None else Question.from_dict(question, is_asked=True)
            for prediction in paced(self._runner.run(picture, asked)):
                drawn = self._drawn(picture, prediction) if prediction.is_final else None
                yield prediction.to_dict(), save_jpeg(drawn, "annotated") if drawn else None

    def _drawn(self, picture: InputImage, prediction: Prediction) -> Image.Image:
        shown = self._shown(prediction)
        look, pixels = Look(styles=default_styles(shown)), picture.pixels
        if is_too_large(shown, look, pixels.size):  # an answer is never refused for its drawing
            pixels = pixels.copy()
            pixels.thumbnail((_DRAWN_SIDE, _DRAWN_SIDE))
        return draw(pixels, shown, look)

    def _shown(self, prediction: Prediction) -> Prediction:
        """Return a prediction as the page would draw it; of a checkpoint that is not known here no score is too low."""
        engines, name = self._predictor.engines, prediction.checkpoint
        is_known = name in (engines.current_name, *(row.name for row in CATALOG))
        return shown_at_first(prediction, engines.status(name).checkpoint.min_score if is_known else 0.0)

    @no_tool
    def find_more(self, image: Upload | None, regions: list[list[float]], checkpoint: str = "") -> dict[str, Any]:
        """Find what in a picture is like what is in some boxes; the scores of the prediction say how alike, 0 to 1.

        Args:
            image: The picture, as for `/run`.
            regions: The boxes of the examples, [x_min, y_min, x_max, y_max] in pixels of the upright picture.
            checkpoint: A name of the catalog; empty for the one the playground runs.
        """
        with errors_for_the_user():
            picture = _given(image).source
            if self._on_zero_gpu:
                raise InputRejected(text.NOT_ON_ZERO_GPU, field="image")
            return self._predictor.find_more(picture, regions, checkpoint=_named(checkpoint)).to_dict()

    @no_tool
    def sharpen(
        self, image: Upload | None, prediction: dict[str, Any], points: list[list[Any]] | None = None
    ) -> dict[str, Any]:
        """Draw sharper outlines of the regions of a prediction; its notices tell the IoU that their model predicts.

        Args:
            image: The picture that the prediction is about.
            prediction: A prediction as `/run` returned it.
            points: For a prediction of a single region: [x, y, true for inside or false for outside], in pixels.
        """
        with errors_for_the_user():
            if self._on_zero_gpu:
                raise InputRejected(text.NOT_ON_ZERO_GPU, field="image")
            read = Prediction.from_dict(prediction)
            return self._predictor.sharpen(_given(image).source, read, points).to_dict()

    @no_tool
    def tasks(self, checkpoint: str = "") -> list[dict[str, str]]:
        """List the tasks: id, title, group, what input they need and what shape the answer has.

        Args:
            checkpoint: Whose tasks; empty for the one the playground runs. One of the hub brings its own along only
                once it is on this machine.
        """
        with errors_for_the_user():
            tasks = self._predictor.tasks(_named(checkpoint))
        return [
            {
                "id": task.id,
                "title": task.title,
                "group": task.group.value,
                "input": task.input_kind.value,
                "output": task.output_kind.value,
            }
            for task in tasks
        ]

    @no_tool
    def export(self, image: Upload | None, prediction: dict[str, Any], format: str) -> str:
        """Write a prediction as a file. Drawn pictures leave out what the model is not sure of, as the page does.

        Args:
            image: The picture that the prediction is about.
            prediction: A prediction as `/run` returned it.
            format: One of png, jpeg, overlay, crops, txt, md, pdf, hocr, alto, json, csv, counts, coco, coco_results,
                yolo, voc, labelme, createml, label_studio, cvat, captions.
        """
        format = str(format).lower()  # as of `/annotate`
        with errors_for_the_user():
            read = Prediction.from_dict(prediction)
            read = self._shown(read) if format in DRAWN_FORMATS else read
            look = Look(styles=default_styles(read))
            upload = _given(image)
            picture = Annotated(
                upload.name, read, self._predictor.read_image(upload.source), upload.original,
                look_plainly=self._predictor.look_plainly,
            )  # fmt: skip
            return save_export(picture, look, format)

    def ask_florence2(
        self,
        image: str | None,
        task: str = "<OD>",
        phrase: str = "",
        regions: list[list[float]] | None = None,
        options: dict[str, Any] | None = None,
        request: gr.Request | None = None,
    ) -> str:
        """Ask Florence-2 about a picture; returns the prediction as JSON text, with boxes in pixels.

        Args:
            image: A data URL, data:image/png;base64,..., or the whole path of a file if the server is the user's own.
            task: A task id of the tool that lists them, such as "<OD>" (find every object) or "<CAPTION>".
            phrase: Text for the tasks that need it: a sentence, or names separated by commas.
            regions: Boxes [x_min, y_min, x_max, y_max] in pixels of the upright picture, for the region tasks.
            options: What else a question has: names that things are called by, lowest scores, merging and more.
        """
        with errors_for_the_user():
            picture = self._picture_of_a_tool(image, request)
            options = options or {}
            for name in options.keys() & {"task", "phrase", "regions"}:
                raise InputRejected(f"{name} is an argument of its own. Leave it out of the options.", field=name)
        question = {**options, "task": task, "phrase": phrase, "regions": regions or []}
        *_, (prediction, _) = self.run(picture, task, question=question)
        return json.dumps(prediction, ensure_ascii=False)

    def _picture_of_a_tool(self, image: str | None, request: gr.Request | None) -> Upload:
        if not image:
            raise ImageRejected("There is no picture. Send its path, or a data URL.")
        if image.startswith("data:"):
            return Upload(read_data_url(image))
        if image.startswith(("http:", "https:")):
            raise ImageRejected("No picture is fetched from an address. Fetch it, and send it as a data URL.")
        if not self._is_for_one_user or request is None or is_forwarded(request):
            raise ImageRejected("This server opens no file for others. Send the picture as a data URL.")
        path = Path(image.removeprefix("file://")).expanduser()
        if not path.is_absolute():
            raise ImageRejected("The path of a picture must be a whole one, from the root, as of /home/me/cat.jpg.")
        return Upload(str(path))

    def list_tasks(self) -> str:
        """List the tasks of Florence-2 as JSON text: id, title, group, input and output."""
        return json.dumps(self.tasks(), ensure_ascii=False)


def _named(checkpoint: Any) -> str:
    if not isinstance(checkpoint, str):
        raise InputRejected(f"The checkpoint must be a name, but got {type(checkpoint).__name__}.", field="checkpoint")
    return checkpoint


def _given(image: Upload | None) -> Upload:
    if image is None:
        raise ImageRejected("There is no picture. Upload one, then send what the upload returned.")
    return image


class _Regions(gr.JSON):
    """Boxes as JSON. The schema of `gr.JSON` is not valid JSON Schema, so that MCP refuses every call."""

    def get_block_name(self) -> str:
        return "json"

    def api_info(self) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}


class _Options(_Regions):
    """What a question has beside task, phrase and regions, as JSON."""

    def api_info(self) -> dict[str, Any]:
        by_name = {"type": "object", "additionalProperties": {"type": "string"}}
        return {
            "type": "object",
            "properties": {
                "checkpoint": {"type": "string", "description": "Which one answers; else the one that is run here."},
                "decoding": {
                    "type": "string",
                    "enum": list(DECODINGS),
                    "description": "careful is a beam search, which takes longer.",
                },
                "max_new_tokens": {
                    "type": "integer",
                    "description": "How many tokens an answer may have; else what the checkpoint can write.",
                },
                "names": {**by_name, "description": "What is asked for: what it is to be called."},
                "min_scores": {
                    "anyOf": [
                        {"type": "object", "additionalProperties": {"type": "number"}},
                        {"type": "number"},
                    ],
                    "description": 'The lowest score of each name, 0 to 1; that of "", or a number alone, is for all '
                    "others.",
                },
                "merge": {
                    "type": "string",
                    "enum": list(MERGES),
                    "description": "One region for a thing: iou merges what lies on one another, ios also what lies "
                    "inside another.",
                },
                "one_by_one": {"type": "boolean", "description": "Ask for each name by itself."},
                "tiles": {
                    "type": "integer",
                    "description": "Look closer at large pictures with small things: in overlapping tiles of so many "
                    "pixels a side; 0 chooses. For tasks that find things or mark where text stands.",
                },
                "then": {
                    "type": "string",
                    "description": "A task that follows: about each region that was found, such as "
                    '"<REGION_TO_DESCRIPTION>", or about a caption: "<CAPTION_TO_PHRASE_GROUNDING>".',
                },
            },
        }


class _TaskId(gr.Textbox):
    """A task, whose schema lists all of them; one that is none is refused in our own words."""

    def __init__(self, tasks: Callable[[], Sequence[Task]], *, label: str, value: str) -> None:
        super().__init__(label=label, value=value)
        self._tasks = tasks

    def get_block_name(self) -> str:
        return "textbox"

    def api_info(self) -> dict[str, Any]:
        return {"type": "string", "enum": [task.id for task in self._tasks()]}


def add_api(predictor: Predictor, settings: Settings) -> None:
    """Add the public endpoints to the app that is being built.

    The components of those that take a picture are never shown: they give the endpoints their schema.
    """
    api = Api(predictor, settings)
    add_endpoint(api.tasks, api_name="tasks", queue=False)
    if settings.mcp:
        add_endpoint(api.list_tasks, api_name="list_tasks", queue=False)
    with gr.Column(visible=False):
        image = Picture(label="image")
        task = _TaskId(predictor.tasks, label="task", value=DEFAULT_TASK.id)
        phrase = TextAsSent(label="phrase", value="")
        regions = _Regions(label="regions", value=[])
        checkpoint = gr.Textbox(label="checkpoint", value="")
        decoding = gr.Textbox(label="decoding", value="greedy")
        max_new_tokens = gr.Number(label="max_new_tokens", value=None)
        question = gr.JSON(label="question", value=None)
        prediction = gr.JSON(label="prediction")
        annotated = gr.Image(label="annotated", format="jpeg")
        format_ = gr.Textbox(label="format", value=FORMATS[0].id)
        file = gr.File(label="file")
        answer = gr.Textbox(label="answer")
        ask = gr.Button()
        ask.click(
            api.run,
            [image, task, phrase, regions, checkpoint, decoding, max_new_tokens, question],
            [prediction, annotated],
            api_name="run",
            **MODEL_QUEUE,
        )
        alike = [image, regions, checkpoint]
        ask.click(api.find_more, alike, gr.JSON(label="prediction"), api_name="find_more", **MODEL_QUEUE)
        pointed = [image, prediction, gr.JSON(label="points", value=None)]
        ask.click(api.sharpen, pointed, gr.JSON(label="prediction"), api_name="sharpen", **MODEL_QUEUE)
        ask.click(api.export, [image, prediction, format_], file, api_name="export", **COSTLY)
        if settings.mcp:
            options = _Options(label="options", value=None)
            asked = [gr.Textbox(label="image"), task, phrase, regions, options]
            ask.click(api.ask_florence2, asked, answer, api_name="ask_florence2", **MODEL_QUEUE)
