"""Rules that formats publish and no library here checks: of Ultralytics for labels, of Pascal VOC and ALTO for XML."""

import re
from pathlib import Path
from xml.etree import ElementTree

import yaml
from PIL import Image

_NUMBER = re.compile(r"\d+(\.\d+)?")

# What readers want of each annotation, from the VOC2012 devkit; `.` stands for the object.
_OF_ANNOTATION = ("folder", "filename", "source/database", "size/width", "size/height", "size/depth", "segmented")
_OF_OBJECT = ("name", "pose", "truncated", "difficult", "bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax")

# Of the schema of ALTO 4.4 (https://www.loc.gov/standards/alto/) the elements that are used here: which ones they hold,
# in this order, which attributes they must have, and which they may.
_PLACE = ("HPOS", "VPOS", "WIDTH", "HEIGHT")
_ALTO: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "alto": ("Description Layout", (), ("SCHEMAVERSION",)),
    "Description": ("MeasurementUnit sourceImageInformation Processing", (), ()),
    "MeasurementUnit": ("", (), ()),
    "sourceImageInformation": ("fileName", (), ()),
    "fileName": ("", (), ()),
    "Processing": ("processingCategory processingStepDescription processingSoftware", ("ID",), ()),
    "processingCategory": ("", (), ()),
    "processingStepDescription": ("", (), ()),
    "processingSoftware": ("softwareName", (), ()),
    "softwareName": ("", (), ()),
    "Layout": ("(Page )+", (), ()),
    "Page": ("PrintSpace", ("ID", "PHYSICAL_IMG_NR"), ("WIDTH", "HEIGHT", "QUALITY_DETAIL")),
    "PrintSpace": ("(TextBlock )*", (), _PLACE),
    "TextBlock": ("(TextLine )+", ("ID",), (*_PLACE, "ROTATION", "CS")),
    "TextLine": ("(Shape )?(String (SP )?)+", (), (*_PLACE, "CS")),
    "Shape": ("Polygon", (), ()),
    "Polygon": ("", ("POINTS",), ()),
    "String": ("", ("CONTENT",), (*_PLACE, "WC")),
    "SP": ("", (), ()),
}  # fmt: skip
_ALTO_SPACE = "{http://www.loc.gov/standards/alto/ns-v4#}"


def read_alto(file: Path) -> list[list[tuple[str, tuple[float, ...]]]]:
    """Return the words of each line, with their places as x, y, width and height."""
    root = ElementTree.parse(file).getroot()
    ids: list[str] = []
    for element in root.iter():
        name = element.tag.removeprefix(_ALTO_SPACE)
        children, needed, allowed = _ALTO[name]
        held = "".join(child.tag.removeprefix(_ALTO_SPACE) + " " for child in element)
        assert re.fullmatch(children if children.endswith(("+", "*")) else f"{children} ?", held), (name, held)
        assert set(needed) <= set(element.attrib) <= {*needed, *allowed}, (name, element.attrib)
        for number in (value for key, value in element.attrib.items() if key in (*_PLACE, "ROTATION", "WC")):
            float(number)
        assert 0 <= float(element.get("WC", "0")) <= 1
        ids += [value for key, value in element.attrib.items() if key == "ID"]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", name) for name in ids)
    return [
        [(word.attrib["CONTENT"], tuple(float(word.attrib[key]) for key in _PLACE))
         for word in line.iter(f"{_ALTO_SPACE}String")]
        for line in root.iter(f"{_ALTO_SPACE}TextLine")
    ]  # fmt: skip


def read_yolo(folder: Path) -> dict[str, list[tuple[str, list[float]]]]:
    """Return the rows of each picture, by its stem, as the name of the class and the numbers.

    As Ultralytics reads and refuses (https://docs.ultralytics.com/datasets/): the labels of a picture are where
    `/images/` in its path is replaced by `/labels/`; a row is a class and a box, or a class and at least three points;
    where one row of a data set is an outline, all are; numbers are shares of the picture's size, written without
    exponents; `train` and `val` name folders beside the settings.
    """
    settings = yaml.safe_load((folder / "data.yaml").read_text("utf-8"))
    names: list[str] = settings["names"]
    assert settings["nc"] == len(names) == len(set(names))
    assert (folder / "classes.txt").read_text("utf-8").splitlines() == names
    read, lengths = {}, set()
    for subset in ("train", "val"):
        for picture in (folder / settings[subset]).iterdir():
            Image.open(picture).verify()
            path = str(picture).replace("/images/", "/labels/").rpartition(".")[0] + ".txt"
            rows = [line.split(" ") for line in Path(path).read_text("utf-8").splitlines()]
            assert all(_NUMBER.fullmatch(value) for row in rows for value in row), path
            assert all(0 <= float(value) <= 1 for row in rows for value in row[1:]), path
            assert all(len(row) == 5 or (len(row) >= 7 and len(row) % 2 == 1) for row in rows), path
            lengths |= {len(row) == 5 for row in rows}
            read[picture.stem] = [(names[int(row[0])], [float(value) for value in row[1:]]) for row in rows]
    assert len(lengths) <= 1, "boxes and outlines are mixed"
    assert {path.stem for path in (folder / "labels").iterdir()} == read.keys()
    return read


def read_voc(folder: Path) -> dict[str, list[tuple[str, list[int]]]]:
    """Return the objects of each picture of the list, by its name there, with their boxes in pixels counted from 1."""
    (subset,) = (folder / "ImageSets/Main").iterdir()
    read = {}
    for stem in subset.read_text("utf-8").splitlines():
        root = ElementTree.parse(folder / f"Annotations/{stem}.xml").getroot()
        assert all(root.findtext(field) for field in _OF_ANNOTATION), stem
        with Image.open(folder / str(root.findtext("folder")) / str(root.findtext("filename"))) as picture:
            width, height = picture.size
        assert [root.findtext("size/width"), root.findtext("size/height")] == [str(width), str(height)]
        objects = root.findall("object")
        for item in objects:
            assert all(item.findtext(field) for field in _OF_OBJECT), stem
        boxes = [[int(value) for value in (item.findtext(field) for field in _OF_OBJECT[4:])] for item in objects]
        for x_min, y_min, x_max, y_max in boxes:
            assert 1 <= x_min <= x_max <= width
            assert 1 <= y_min <= y_max <= height
        read[stem] = [(str(item.findtext("name")), box) for item, box in zip(objects, boxes, strict=True)]
    return read
