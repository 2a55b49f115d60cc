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
from unittest.mock import MagicMock

import datumaro
from alto_tools import alto_tools
from hocr_spec import HocrValidator
from label_studio_sdk.converter.imports.coco import convert_coco_to_ls
from label_studio_sdk.converter.imports.yolo import convert_yolo_to_ls
from label_studio_sdk.label_interface import LabelInterface
from lxml import html
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

# What LabelMe draws its windows with, and opens pictures of microscopes.
sys.modules.update(
    {name: MagicMock() for name in ("onnxruntime", "PyQt5", "loguru", "tifffile", "imgviz", "imgviz.io")}
)
from labelme import LabelFile  # noqa: E402


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


def results_with_pycocotools(folder: Path) -> list[list[Any]]:
    """Each result, as it is loaded beside the list of pictures: its picture, class, box and score."""
    coco = COCO(str(folder / "image_info.json"))
    if json.loads((folder / "results.json").read_text()) == []:  # which pycocotools cannot load
        return []
    results = coco.loadRes(str(folder / "results.json"))
    COCOeval(coco, results, "bbox").evaluate()
    return [
        [coco.loadImgs(row["image_id"])[0]["file_name"], coco.loadCats(row["category_id"])[0]["name"], row["bbox"],
         row["score"]]
        for row in results.loadAnns(results.getAnnIds())
    ]  # fmt: skip


def with_labelme(folder: Path) -> dict[str, Any]:
    """Each file: its picture, and the label, shape, group and points of each shape, with what else LabelMe keeps."""
    read = {}
    for path in sorted(folder.glob("*.json")):
        file = LabelFile(str(path))
        shapes = [
            [shape["label"], shape["shape_type"], shape["group_id"], shape["points"], shape["other_data"]]
            for shape in file.shapes
        ]
        read[path.stem] = {"picture": file.image_path, "shapes": shapes, "text": file.other_data.get("text")}
    return read


def with_label_interface(folder: Path) -> list[dict[str, Any]]:
    """Each task: what Label Studio finds wrong with its prediction, and its picture, shapes, labels and texts."""
    interface = LabelInterface((folder / "label_config.xml").read_text("utf-8"))
    interface.validate()
    read = []
    for task in json.loads((folder / "tasks.json").read_text()):
        (prediction,) = task["predictions"]
        results = [
            [row["type"], *row["value"].get(row["type"], row["value"].get("text", []))] for row in prediction["result"]
        ]
        wrong = interface.validate_prediction(prediction, return_errors=True)
        picture = task["data"]["image"].partition("?d=images/")[2]
        origins = [row["origin"] for row in prediction["result"] if "origin" in row]
        read.append({"wrong": wrong, "picture": picture, "results": results, "origins": origins})
    return read


def with_hocr_spec(folder: Path) -> dict[str, Any]:
    """Each file: what is wrong with it, and the texts of its lines."""
    read = {}
    for path in sorted(folder.glob("*.hocr")):
        report = HocrValidator("standard").validate(str(path))
        lines = html.parse(str(path)).xpath("//*[@class='ocr_line']")
        texts = [" ".join(line.text_content().split()) for line in lines]
        read[path.stem] = {"wrong": [str(item) for item in report.items], "lines": texts}
    return read


def with_alto_tools(folder: Path) -> dict[str, list[str]]:
    """The lines of each file."""
    read = {}
    for path in sorted(folder.glob("*.xml")):
        with path.open(encoding="utf-8") as file, contextlib.redirect_stdout(io.StringIO()) as said:
            _, xml, namespace = alto_tools.alto_parse(file)
            alto_tools.alto_text(xml, namespace)
        read[path.stem] = [line.strip() for line in said.getvalue().splitlines() if line.strip()]
    return read


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
            "attributes": [annotation.attributes for annotation in item.annotations],
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
    "datumaro cvat": lambda case: with_datumaro(case / "cvat", "cvat"),
    "pycocotools results": lambda case: results_with_pycocotools(case / "coco_results"),
    "labelme": lambda case: with_labelme(case / "labelme"),
    "hocr-spec": lambda case: with_hocr_spec(case / "hocr"),
    "alto-tools": lambda case: with_alto_tools(case / "alto"),
    "label studio": lambda case: with_label_interface(case / "label_studio"),
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
