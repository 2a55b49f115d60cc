"""Pages of documents: upright, within the limits, and with a sentence where there is none."""

import base64
import io
import zlib

import pypdfium2
import pytest
from PIL import Image, ImageDraw
from pypdfium2 import raw

from playground.errors import ImageRejected
from playground.pictures.limits import Limits
from playground.pictures.reader import num_pages, read_image
from playground.pictures.workers import PictureWorkers

# An empty page of 50 x 50 mm, made by fpdf2 with the password "open sesame": compressed, and in base 85.
_LOCKED = """
c-n<hy>8nu5FWZ|>=SS?&?OOnB#HzC0}>^sK@-HV(=J8^)}m7tGUZBi5%(qfEPaBaK$pHmfi4A#P8~XAYN=R>Rd}ctir?|R`|iFQ
O)`0ejze$s<L9rB9s&^5FJF6c?D?YJ7z>c+KP!tC%!vz4uRQ-;7o|$;8!(3sK><3BNPoEK<#w%sKT+4Z^~PgQo1&w`1KNwVHp#-4
wdpy5FH8Frm`znVf-dz;ZR?E%{)N$^t~M*PgImzao8A`@%Brfq9+V;fs5e#{+k#-1bJEnCHHhOrd3W_^z`tyiY1gXJX0dgo4$1V}
a-pXusbhA9UBup3p6a&VGz%vs97^fb4Rizp9kQ&fZd{L*vO3d?y3n3~rp>i|1rYC&TH9!~@+O}?fB63G{i8QuA3w=%e}B3C^SI;d
qdjvtV4gJfVx}#a`_4nxhrV$mJ6$;`X@83TJiQu-qr)LN?#_wKX#;VBu?Pf8h>$pk9Ptoy#&gUVjgVwQ@bQ2r8t~+1(QMcDTw7H*
SHMzLt={)Ov&s~zDfW$H<`x0O2qln_fG|ix%#u*Bkftd?JfUfpLy;g3c^<HwWsrp=r-Jc-Aj)CHBOc1mA8<rC44gH9c&^e)cJ&G&
yGygbJO{C)L6#;tN)k>45=>+y%ovt1WrXGoXSu{ONM#=6G)NhD&q7WkE`x|u$r4xX1;B$5+%$UWLBKrt@BtczBm_(FfFbAEUBo<K
2;u__!^3wZKnIv>{}AKs01G3y$84j@N;h|2&B}M$N%p68Z2{hG@u^wXfbRZ#FG19YGBA%Ri8xP@n-qaGPa%^CiXg(ITa*k(<Nv?7
+O4{3?A_ED=H6(OUr6sSm18r=
"""


@pytest.fixture
def locked() -> bytes:
    return zlib.decompress(base64.b85decode("".join(_LOCKED.split())))


def scan(*colors: str, size: tuple[int, int] = (200, 100)) -> bytes:
    """A PDF with a picture a page, with a black bar at its top, at 72 dots an inch."""
    sheets = []
    for color in colors:
        sheet = Image.new("RGB", size, color)
        ImageDraw.Draw(sheet).rectangle((0, 0, size[0], size[1] // 4), fill="black")
        sheets.append(sheet)
    content = io.BytesIO()
    sheets[0].save(content, "PDF", save_all=True, append_images=sheets[1:], resolution=72)
    return content.getvalue()


def saved(document: pypdfium2.PdfDocument) -> bytes:
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def written(text: str) -> bytes:
    """A PDF with a line of text."""
    document = pypdfium2.PdfDocument.new()
    page = document.new_page(300, 100)
    font = raw.FPDFText_LoadStandardFont(document, b"Helvetica")
    line = raw.FPDFPageObj_CreateTextObj(document, font, 12)
    encoded = (text + "\0").encode("utf-16-le")
    raw.FPDFText_SetText(line, (raw.FPDF_WCHAR * (len(encoded) // 2)).from_buffer_copy(encoded))
    raw.FPDFPageObj_Transform(line, 1, 0, 0, 1, 20, 50)
    raw.FPDFPage_InsertObject(page, line)
    page.gen_content()
    return saved(document)


def test_each_page_is_a_picture_at_200_dots_an_inch() -> None:
    data = scan("red", "lime", "blue")
    assert num_pages(data) == 3
    page = read_image(data, page=1)
    assert page.resolution_wh == (556, 278)
    assert page.num_pages == 3
    assert page.pixels.getpixel((278, 200)) == pytest.approx((0, 255, 0), abs=3)
    assert page.notices == ("The file has 3 pages; this is page 2.",)
    with pytest.raises(ImageRejected, match=r"3 pages; there is no page 4\."):
        read_image(data, page=3)


def test_a_page_that_lies_on_its_side_is_turned_as_the_document_says() -> None:
    document = pypdfium2.PdfDocument(scan("white"))
    document[0].set_rotation(90)
    page = read_image(saved(document))
    assert page.resolution_wh == (278, 556)
    assert page.pixels.getpixel((270, 278)) == (0, 0, 0), "the bar at the top is at the right"
    assert page.pixels.getpixel((20, 278)) == (255, 255, 255)


def test_a_large_page_is_drawn_within_the_limit() -> None:
    page = read_image(scan("red", size=(3000, 2000)), Limits(max_megapixels=2))
    assert 1.9e6 < page.pixels.width * page.pixels.height <= 2e6
    with pytest.raises(ImageRejected, match="its longer side may be at most 200 times"):
        read_image(scan("red", size=(3000, 4)))


def test_text_that_is_there_is_said() -> None:
    (notice,) = read_image(written("Forty characters of a text that is there")).notices
    assert notice.startswith("This page holds text of its own, 40 characters")
    assert read_image(written("Page 3")).notices == ()


def test_what_cannot_be_opened_is_a_sentence(tmp_path) -> None:
    for data in (scan("red")[:300], b"%PDF-1.7\n", b"%PDF"):
        with pytest.raises(ImageRejected, match="The PDF is damaged or cut short"):
            read_image(data)


def test_a_document_that_is_locked_opens_with_its_password(locked: bytes) -> None:
    with pytest.raises(ImageRejected, match=r"^This PDF needs a password\. Give it"):
        num_pages(locked)
    with pytest.raises(ImageRejected, match=r"^The password of this PDF is another one\."):
        read_image(locked, password="guess")
    workers = PictureWorkers(count=1)
    try:
        assert workers.read(locked, page=0, password="open sesame").num_pages == 1
    finally:
        workers.close()
