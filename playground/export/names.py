"""Names of files: those that pictures came with, made safe on every system, and each given once."""

import re
import unicodedata

_MAX_NAME_BYTES = 160  # UTF-8; a file system holds 255, and a number, a suffix and an extension follow

# What Windows refuses in a name and what ends a line; half a surrogate pair; marks that turn the direction of what
# follows, by which a name can pretend to have another extension.
_UNSAFE = re.compile('[\x00-\x1f\x7f-\x9f/\\\\:*?"<>|\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]')
# A dot hides a file, readers of lists take a number sign for a remark, and lose spaces at either end.
_UNSAFE_ENDS = re.compile(r"^[.\s#]+|[.\s]+$")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)  # by Windows


def safe_name(text: str, *, fallback: str, max_bytes: int = _MAX_NAME_BYTES) -> str:
    """Return a name in its own script, composed (NFC), in which `_` stands for every character that is unsafe."""
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", text[:1000]))
    name = name.encode("utf-8")[:max_bytes].decode("utf-8", "ignore")
    name = _UNSAFE_ENDS.sub(lambda found: "_" * len(found.group()), name)
    if not name.strip("_"):
        return fallback
    return f"_{name}" if _RESERVED.match(name) else name


def stem_of(file_name: str) -> str:
    """Return the name of a file without folders and without an extension."""
    name = file_name.replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    return stem if stem and dot and extension.isalnum() else name


class UniqueNames:
    """Names that were given to files. Upper and lower case are one, as on Windows and macOS, and so is how an accent
    is written."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._last_number: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, with a number behind it where it was given before: street, street-2, street-3."""
        free, number = name, self._last_number.get(_key(name), 1)
        while _key(free) in self._taken:
            number += 1
            free = f"{name}-{number}"
        self._last_number[_key(name)] = number
        self._taken.add(_key(free))
        return free


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
