"""What is wrong with a value from outside, in words: pydantic finds it, a user reads it. Knows no value."""

import re
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

# JSON knows neither tuples nor classes.
_JSON_WORDS = re.compile(r"(valid tuple|tuple|dictionary)( or an instance of \w+)?")
_JSON_TYPES = {"valid tuple": "list", "tuple": "list", "dictionary": "JSON object"}
_SAYS_WHAT_CAME = ("missing", "value_error", "too_long", "string_too_long")


def what_is_wrong(error: ValidationError) -> str:
    """Return the first thing that is wrong, without a period: "regions[3].score: input should be ..."."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    came = "" if first["type"] in _SAYS_WHAT_CAME else f", but got {_shown(first['input'])}"
    said = _JSON_WORDS.sub(lambda match: _JSON_TYPES[match[1]], f"{said[:1].lower()}{said[1:]}") + came
    return f"{where}: {said}" if where else said


def misspelled(wire: Any, known: type) -> str:
    """Return what is said of the first key that the dataclass `known` does not have, without a period; else ""."""
    names = [field.name for field in fields(known)]
    for key in wire if isinstance(wire, Mapping) else ():
        if key not in names:
            near = get_close_matches(str(key), names, 1, cutoff=0.7)
            return f"there is no {_shown(key)}" + (f", but {near[0]!r}" if near else "")
    return ""


def _shown(value: Any) -> str:
    is_short = value is None or isinstance(value, bool | int | float | str)
    try:
        return repr(value)[:40] if is_short else type(value).__name__
    except ValueError:  # Python writes no integer of more than 4300 digits
        return type(value).__name__
