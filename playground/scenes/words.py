"""The words on signs: which ones, and how they are set. Knows no scene."""

import math
import random
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

_CAPITAL_HEIGHT = 48  # pixels: the size in which words are set before they are scaled
_CACHED_WORDS = 256  # masks of about 10 KB: a word is looked at several times, and there are tens of thousands of them

_WORDS = (  # noqa: SIM905 (a hundred words are easier to read without their quotes)
    "ART BAKERY BANK BAR BEACH BIKES BOOKS BREAD BUS CAFE CAKES CANDY CASTLE CINEMA CIRCUS CITY CLOSED COFFEE DANGER "
    "DOCK EGGS ENTER EXIT FARM FISH FIRE FLOWERS FOOD FREE FRUIT GAMES GARDEN GAS GATE GIFTS GO GOLF GYM HARBOR HELP "
    "HOME HONEY HOTEL ICE INN JAZZ JUICE KEYS KIDS LAKE LIBRARY LUNCH MARKET MENU MILK MOTEL MUSEUM MUSIC NEW NO "
    "NORTH OASIS OFFICE OPEN OUT PARK PIZZA PLAY POLICE POOL POST PUB RADIO RENT RIVER ROAD SALE SCHOOL SHOP "
    "SKI SLOW SOUP SPA STAY STOP SUMMER TAXI TEA THEATER TICKETS TOILET TOYS TRAIN VILLAGE WATER WAY WELCOME WEST "
    "WINE WORK XRAY YES ZOO"
).split()
_CONSONANTS, _VOWELS = "BCDFGHJKLMNPRSTVWXYZ", "AEIOU"


def choose_word(rng: random.Random) -> str:
    """Return a word of the list, a number, or made-up syllables that cannot be known by heart."""
    kind = rng.random()
    if kind < 0.6:
        return rng.choice(_WORDS)
    if kind < 0.85:
        return str(rng.randrange(10 ** rng.randint(1, 4)))
    syllables = [rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(rng.randint(1, 2))]
    return "".join(syllables) + rng.choice(("", rng.choice(_CONSONANTS)))


@lru_cache(_CACHED_WORDS)
def word_mask(word: str) -> Image.Image:
    """Return the word as a mask that its characters touch on all sides, capitals about `_CAPITAL_HEIGHT` high."""
    font = _typeface()
    weight = round(_CAPITAL_HEIGHT / 24)
    left, top, right, bottom = font.getbbox(word, stroke_width=weight)
    mask = Image.new("L", (math.ceil(right - left), math.ceil(bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), word, fill=255, font=font, stroke_width=weight)
    return mask.crop(mask.getbbox())


def word_aspect(word: str) -> float:
    """Return the width of a word over its height."""
    mask = word_mask(word)
    return mask.width / mask.height


@lru_cache(_CACHED_WORDS)
def character_centers(word: str) -> tuple[float, ...]:
    """Return the center of each character, as a share of the word's width."""
    font = _typeface()
    ends = [font.getlength(word[:length]) for length in range(len(word) + 1)]
    return tuple((start + end) / 2 / ends[-1] for start, end in pairwise(ends))


def _typeface() -> ImageFont.FreeTypeFont:
    """Return Pillow's own typeface, whose capitals are 0.72 of the font size high."""
    font = ImageFont.load_default(_CAPITAL_HEIGHT / 0.72)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow must be built with FreeType"
    return font
