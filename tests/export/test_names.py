"""Names of files: any script survives, whatever a system refuses is replaced, and no name is given twice."""

import pytest

from playground.export import file_name
from playground.export.names import UniqueNames, safe_name, stem_of


@pytest.mark.parametrize(
    "name",
    [
        "名前", "été", "улица", "شارع", "सड़क", "ถนน", "거리", "👨‍👩‍👧 family",
        "IMG_20260711_183012_BURST001_COVER_HDR~2", "my holiday (3)",
        "a.b.c", "100% #1 + more", "O'Brien & Söhne, [final]", "-rf", "a" * 160,
    ],
)  # fmt: skip
def test_a_name_survives(name: str) -> None:
    assert safe_name(name, fallback="picture") == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        pytest.param("../../etc/passwd", "___.._etc_passwd", id="a path"),
        pytest.param("C:\\photos\\street", "C__photos_street", id="a path on Windows"),
        pytest.param('a<b>c:d"e/f\\g|h?i*j', "a_b_c_d_e_f_g_h_i_j", id="what Windows refuses"),
        pytest.param("a\x00b\nc\x7fd\x9fe", "a_b_c_d_e", id="control characters"),
        pytest.param("a\u2028b\u202egpj", "a_b_gpj", id="ends of lines and turned directions"),
        pytest.param("a\ud800b", "a_b", id="half of a surrogate pair"),
        pytest.param(".hidden", "_hidden", id="a dot at the beginning"),
        pytest.param("  a  ", "__a__", id="spaces at the ends"),
        pytest.param("a. .", "a___", id="dots and spaces at the end"),
        pytest.param("#1", "_1", id="a number sign at the beginning"),
        pytest.param("CON", "_CON", id="a device"),
        pytest.param("com1.backup", "_com1.backup", id="a device with an extension"),
        pytest.param("nul ", "nul_", id="a device and a space"),
        pytest.param("console", "console", id="no device"),
        pytest.param("e\u0301te\u0301", "été", id="accents of their own"),
        pytest.param("", "picture", id="nothing"),
        pytest.param("\x00\n", "picture", id="nothing that is safe"),
        pytest.param("名" * 500, "名" * 53, id="long"),
        pytest.param("a" * 159 + ". b", "a" * 159 + "_", id="cut at a dot"),
    ],
)
def test_what_is_unsafe_is_replaced(name: str, safe: str) -> None:
    assert safe_name(name, fallback="picture") == safe
    assert file_name(name, "json") == f"{safe}.json"
    assert safe_name(safe, fallback="picture") == safe


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("名前.jpg", "名前"),
        ("a.b.JPEG", "a.b"),
        ("folder/été.png", "été"),
        ("C:\\photos\\street.png", "street"),
        ("no extension", "no extension"),
        ("v1.2 final", "v1.2 final"),
        (".png", ".png"),
        ("a.", "a."),
        ("", ""),
    ],
)
def test_the_stem_of_a_file(file: str, stem: str) -> None:
    assert stem_of(file) == stem


def test_names_are_given_once() -> None:
    names = UniqueNames()
    taken = [names.take(name) for name in ("a", "a-2", "A", "a", "été", "e\u0301te\u0301", "ÉTÉ", "straße", "STRASSE")]
    assert taken == ["a", "a-2", "A-3", "a-4", "été", "e\u0301te\u0301-2", "ÉTÉ-3", "straße", "STRASSE-2"]
