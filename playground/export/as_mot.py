"""Tracks as the MOT Challenge has them (Dendorfer et al., 2020), a folder a video, in a ZIP."""

import zipfile
from typing import BinaryIO

from playground.export.annotated import CheckedPictures
from playground.export.classes import ClassNumbers
from playground.export.files import Provenance, add_packed, jpeg_bytes, open_zip
from playground.export.films import Film, films_of
from playground.export.format import Format, Holds
from playground.export.outlines import box_inside
from playground.export.spooled import Spooled


def _write(pictures: CheckedPictures, stream: BinaryIO) -> None:
    classes, provenance = ClassNumbers(), Provenance()
    names: list[str] = []
    with open_zip(stream) as archive:
        for film in films_of(pictures):
            _write_film(archive, film, classes, provenance)
            names.append(film.name)
        labels = "".join(f"{name}\n" for name in classes.names)
        for name in names:
            archive.writestr(f"{name}/gt/labels.txt", labels)
        provenance.add_readme(archive, MOT.cannot_carry, _COLUMNS)


def _write_film(archive: zipfile.ZipFile, film: Film, classes: ClassNumbers, provenance: Provenance) -> None:
    width = height = count = 0
    step = 1.0
    with Spooled() as truth, Spooled() as found:
        for count, frame in enumerate(film.frames, start=1):
            prediction, step = frame.picture.prediction, frame.place.step
            width, height = prediction.resolution_wh
            content = jpeg_bytes(frame.picture.image.pixels, description="")
            add_packed(archive, f"{film.name}/img1/{count:06}.jpg", content)
            for region, class_id in zip(prediction.regions, classes.number(prediction), strict=True):
                x_min, y_min, x_max, y_max = box_inside(region, prediction.resolution_wh)
                box = f"{x_min:.2f},{y_min:.2f},{x_max - x_min:.2f},{y_max - y_min:.2f}"
                score = 1.0 if region.score is None else region.score
                truth.add(f"{count},{region.track or -1},{box},1,{class_id + 1},1\n")
                found.add(f"{count},{region.track or -1},{box},{score:.4f},-1,-1,-1\n")
            provenance.add(prediction)
        for name, rows in (("gt/gt.txt", truth), ("det/det.txt", found)):
            with archive.open(f"{film.name}/{name}", "w", force_zip64=True) as file:
                rows.write(file)
    archive.writestr(
        f"{film.name}/seqinfo.ini",
        f"[Sequence]\nname={film.name}\nimDir=img1\nframeRate={1 / step:g}\nseqLength={count}\nimWidth={width}\n"
        f"imHeight={height}\nimExt=.jpg\n",
    )


_COLUMNS = (
    "gt/gt.txt: frame, track, left, top, width, height, 1, class from 1 as in gt/labels.txt, 1. det/det.txt: frame, "
    "track, left, top, width, height, score, -1, -1, -1. Frames and tracks are counted from 1."
)

MOT = Format(
    "mot", "MOT Challenge (ZIP)", "zip", "zip", _write,
    "It holds boxes, tracks and names: no outline, quad and text, and not who drew a region. Its frames are those that "
    "were asked about, as JPEG, one after another; when each is shown it does not say.",
    suffix="-mot",
    holds=Holds.FRAMES,
    is_film=True,
)  # fmt: skip
