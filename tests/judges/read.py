"""Read exported archives with the libraries of other tools, and say in JSON what each of them saw.

Runs in `.venv-judges`, and so imports nothing of the playground: `python read.py FOLDER REPORT`. The folder holds
unpacked archives, `FOLDER/<case>/<format>`; the report is `{case: {reader: what it read}}`.
"""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datumaro
from label_studio_sdk.converter.imports.coco import convert_coco_to_ls
from label_studio_sdk.converter.imports.yolo import convert_yolo_to_ls
from pycocotools.coco import COCO


def with_pycocotools(folder: Path) -> list[dict[str, Any]]:
    """Each annotation: its picture, class, box, area, and the mask's area and box."""
    coco = COCO(str(folder / "annotations/instances_default.json"))
    read = []
    for annotation in coco.loadAnns(coco.getAnnIds()):
        mask = coco.annToMask(annotation)
        (image,) = coco.loadImgs(annotation["image_id"])
        rows, columns = mask.any(axis=1).nonzero()[0].tolist(), mask.any(axis=0).nonzero()[0].tolist()
        read.append(
            {
                "picture": image["file_name"],
                "label": coco.loadCats(annotation["category_id"])[0]["name"],
                "bbox": annotation["bbox"],
                "area": annotation["area"],
                "mask_area": int(mask.sum()),
                "mask_xyxy": [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if rows else None,
                "mask_shape": list(mask.shape),
            }
        )
    return read


def captions_with_pycocotools(folder: Path) -> dict[str, str]:
    """The caption of each picture that has one."""
    file = folder / "annotations/captions_default.json"
    if not file.exists():
        return {}
    coco = COCO(str(file))
    return {
        coco.loadImgs(annotation["image_id"])[0]["file_name"]: annotation["caption"]
        for annotation in coco.loadAnns(coco.getAnnIds())
    }


def with_datumaro(folder: Path, format_name: str, **options: Any) -> dict[str, Any]:
    """Each item: its picture's size as read from the file, its boxes with labels, and its captions."""
    dataset = datumaro.Dataset.import_from(str(folder), format_name, **options)
    names = [category.name for category in dataset.categories()[datumaro.AnnotationType.label]]
    return {
        item.id: {
            "size": list(item.media.data.shape[:2]),
            "boxes": [
                [names[annotation.label], *(round(float(value), 3) for value in annotation.points)]
                for annotation in item.annotations
                if annotation.type == datumaro.AnnotationType.bbox
            ],
            "num_polygons": sum(annotation.type == datumaro.AnnotationType.polygon for annotation in item.annotations),
            "captions": [a.caption for a in item.annotations if a.type == datumaro.AnnotationType.caption],
        }
        for item in dataset
    }


def with_label_studio(convert: Callable[..., None], source: Path) -> list[dict[str, Any]]:
    """Each task: its picture, and the labels and shapes of its results."""
    out = source.parent / f"{source.name}-tasks.json"
    convert(str(source), str(out), image_root_url="/files")
    return [
        {
            "picture": task["data"]["image"].rpartition("/")[2],
            "results": [
                [result["type"], *result["value"][result["type"]]] for result in task["annotations"][0]["result"]
            ],
        }
        for task in (json.loads(out.read_text()) if out.exists() else [])
    ]


READERS: dict[str, Callable[[Path], Any]] = {
    "pycocotools": lambda case: with_pycocotools(case / "coco"),
    "pycocotools captions": lambda case: captions_with_pycocotools(case / "coco"),
    "datumaro coco": lambda case: with_datumaro(case / "coco", "coco"),
    "datumaro yolo": lambda case: with_datumaro(case / "yolo", "yolo"),
    "datumaro voc": lambda case: with_datumaro(case / "voc", "voc", coordinate_mode="voc-one-based"),
    "label studio coco": lambda case: with_label_studio(
        convert_coco_to_ls, case / "coco/annotations/instances_default.json"
    ),
    "label studio yolo": lambda case: with_label_studio(convert_yolo_to_ls, case / "yolo"),
}


def main(folder: Path, report: Path) -> None:
    """Try every reader on every case; where one fails, what it said is the report."""
    whole: dict[str, dict[str, Any]] = {}
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        whole[case.name] = {}
        for name, read in READERS.items():
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    whole[case.name][name] = read(case)
            except Exception as error:
                whole[case.name][name] = f"{type(error).__name__}: {error}"
    report.write_text(json.dumps(whole))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
