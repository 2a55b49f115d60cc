"""Pictures with a text beside each, as trainers of image models read them, in a ZIP."""

from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.dataset import Dataset
from playground.export.files import open_zip
from playground.export.format import Format
from playground.export.texts import caption_of


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    """Write each picture and, under its name, its caption or the names of what is on it."""
    with open_zip(stream) as archive:
        dataset = Dataset(archive, folder="")
        for entry in dataset.add(pictures):
            if caption := caption_of(entry.prediction, entry.affixes):
                archive.writestr(f"{entry.stem}.txt", f"{caption}\n".encode("utf-8", "replace"))
        dataset.add_readme(CAPTIONS.cannot_carry)


CAPTIONS = Format(
    "captions", "Captions to train on (ZIP)", "zip", "zip", _write,
    "It holds pictures and a text beside each: a caption, what was read, or the names of what was found with commas "
    "between them. A picture that the model is not sure of has none. Where things are, scores and who drew a region "
    "are not in it.",
    suffix="-captions",
)  # fmt: skip
