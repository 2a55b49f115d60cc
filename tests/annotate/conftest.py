"""Small pictures, two of which cannot be read."""

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 21 pictures in a row, of which the third and the eleventh are broken."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(1, 22):
        path = folder / f"img{number}.png"
        Image.new("RGB", (12, 8), (number * 10, 0, 0)).save(path)
        if number in (3, 11):
            path.write_bytes(path.read_bytes()[:40])
    return folder
