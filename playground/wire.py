"""What is wrong with a value from outside, in words: pydantic finds it, a user reads it. Knows no value."""

from pydantic import ValidationError


def what_is_wrong(error: ValidationError) -> str:
    """Return the first thing that is wrong, without a period: "regions[3].score: input should be a valid number"."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    said = first["msg"].removeprefix("Value error, ").rstrip(".")
    said = said[:1].lower() + said[1:]
    return f"{where}: {said}" if where else said
