"""The checkers of published rules refuse what breaks them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.export.samples import CAR, WHEELS, street, unzip, written
from tests.judges import rules

LABELS, XML = "labels/street.txt", "Annotations/street.xml"


def broken(folder: Path, format_id: str, path: str, change: Callable[[str], str]) -> Path:
    """Unpack a data set in which one file is changed."""
    unzip(written([street(CAR, WHEELS)], format_id), folder)
    text = (folder / path).read_text("utf-8")
    assert change(text) != text
    (folder / path).write_text(change(text), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("path", "change"),
    [
        pytest.param(LABELS, lambda text: "0 0.5 0.5 0.1 0.1\n" + text, id="boxes among outlines"),
        pytest.param(LABELS, lambda text: text + "0 0.1 0.1 0.2 0.2 0.3\n", id="half a point"),
        pytest.param(LABELS, lambda text: text.replace(" 0.", " 1.", 1), id="outside the picture"),
        pytest.param(LABELS, lambda text: text.replace(" 0.", " 1e-1", 1), id="an exponent"),
        pytest.param(LABELS, lambda text: text.replace("0 ", "7 ", 1), id="an unknown class"),
        pytest.param("data.yaml", lambda text: text.replace("nc: 2", "nc: 3"), id="a wrong count of classes"),
        pytest.param("classes.txt", lambda text: "bus\n" + text, id="other classes"),
    ],
)
def test_what_breaks_the_rules_of_ultralytics_is_refused(
    tmp_path: Path, path: str, change: Callable[[str], str]
) -> None:
    folder = broken(tmp_path, "yolo", path, change)
    with pytest.raises((AssertionError, IndexError)):
        rules.read_yolo(folder)


@pytest.mark.parametrize("field", ["pose", "truncated", "difficult", "xmax", "filename", "depth", "segmented"])
def test_xml_without_a_field_is_refused(tmp_path: Path, field: str) -> None:
    folder = broken(tmp_path, "voc", XML, lambda text: text.replace(field, "other"))
    with pytest.raises((AssertionError, TypeError, FileNotFoundError, IsADirectoryError)):
        rules.read_voc(folder)


def test_a_box_that_leaves_the_picture_is_refused(tmp_path: Path) -> None:
    folder = broken(tmp_path, "voc", XML, lambda text: text.replace("<xmax>120<", "<xmax>161<"))
    with pytest.raises(AssertionError):
        rules.read_voc(folder)
