"""Find Florence-2 models on the hub, and tell of each whether it will load, before anything of it is fetched.

    python -m playground.checkpoints.search TEXT

Of each, the list of files, the configuration and the headers of the weights are read. What the hub says of a model is
whatever somebody wrote there: text, and nothing more.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from huggingface_hub import HfApi, ModelInfo, errors, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # documented, and not marked so

from playground.checkpoints.catalog import Checkpoint, from_hub
from playground.checkpoints.files import check_config, check_names, shard_names
from playground.checkpoints.fits import TensorShape, check_headers
from playground.checkpoints.hub import explain_refusal, first_line, in_background
from playground.errors import CheckpointUnavailable, PlaygroundError

_MAX_FOUND = 10
_MAX_CHARACTERS = 100  # of what is looked for
_SECONDS = 30.0  # for all of a search
_MAX_JSON_BYTES = 10_000_000  # of a configuration, or of a header: 100 KB are usual
_MAX_SHARDS = 20
_FIRST_BYTES = 200_000
_LICENSE = "license:"


@dataclass(frozen=True, slots=True)
class Found:
    """A model of the hub that calls itself a Florence-2; `why_not` says why it will not load, and is empty if it will.

    What is not known is 0 or empty.
    """

    repository: str
    license: str = ""  # as its card states it
    changed: str = ""  # the day of the last change, as 2024-11-04
    num_bytes: int = 0  # of its weights
    why_not: str = ""

    def __str__(self) -> str:
        size = f"{self.num_bytes / 1e9:.2f} GB" if self.num_bytes else ""
        changed = f"changed {self.changed}" if self.changed else ""
        return " · ".join(filter(None, (self.repository, size, self.license or "license not stated", changed)))


def search(text: str, *, endpoint: str | None = None, seconds: float = _SECONDS) -> list[Found]:
    """Return what the hub has under a name or a part of one, the most fetched first.

    Raises CheckpointUnavailable where the hub cannot be asked.
    """
    text = text.strip()
    if not text or len(text) > _MAX_CHARACTERS:
        raise CheckpointUnavailable(f"Type a part of a name, of 1 to {_MAX_CHARACTERS} characters, such as PromptGen.")
    deadline = time.monotonic() + seconds
    api = HfApi(endpoint=endpoint)
    rows = [row for info in _listed(api, text, seconds) if (row := _told(info))]
    looks = [in_background(partial(_look, api, found, names, deadline)) for found, names in rows]
    wait(looks, max(0.0, deadline - time.monotonic()))
    late = f"could not be looked at within {seconds:g} seconds. Look for it again."
    return [
        look.result() if look.done() else replace(found, why_not=f"{found.repository} {late}")
        for look, (found, _) in zip(looks, rows, strict=True)
    ]


def _listed(api: HfApi, text: str, seconds: float) -> list[ModelInfo]:
    listing = in_background(
        lambda: list(
            api.list_models(
                search=text,
                filter="florence2",  # the model type, which the hub makes a tag
                sort="downloads",
                limit=_MAX_FOUND,
                expand=["siblings", "tags", "lastModified"],
            )
        )
    )
    wait([listing], seconds)
    if not listing.done():
        raise CheckpointUnavailable(f"The hub did not answer within {seconds:g} seconds. Check the connection.")
    try:
        return listing.result()
    except Exception as error:
        raise CheckpointUnavailable(
            f"The hub could not be asked ({first_line(error)}). Check the connection."
        ) from error


def _told(info: ModelInfo) -> tuple[Found, list[str]] | None:
    """Return what the list says of a model and the names of its files; None where its name could not be asked for."""
    try:
        source = from_hub(str(info.id)).source
    except CheckpointUnavailable:
        return None
    license = next((tag.removeprefix(_LICENSE) for tag in info.tags or () if tag.startswith(_LICENSE)), "")
    changed = info.last_modified.date().isoformat() if info.last_modified else ""
    return Found(source, license[:40], changed), [file.rfilename for file in info.siblings or ()]


def _look(api: HfApi, found: Found, names: Sequence[str], deadline: float) -> Found:
    checkpoint = Checkpoint(found.repository, found.repository, found.repository)  # which sentences are about
    try:
        return _judged(_Repository(api, checkpoint, deadline), found, names)
    except PlaygroundError as error:
        return replace(found, why_not=str(error))
    except errors.HfHubHTTPError as error:
        return replace(found, why_not=explain_refusal(error, checkpoint.source))
    except Exception as error:  # whatever is wrong with what somebody put there
        return replace(found, why_not=f"{checkpoint.source} could not be looked at ({first_line(error)}).")


def _judged(repository: "_Repository", found: Found, names: Sequence[str]) -> Found:
    """Return what was found with its size. Raises CheckpointUnavailable for what will not load."""
    checkpoint = repository.checkpoint
    check_names(checkpoint, names)
    config = repository.read_json("config.json")
    check_config(checkpoint, config)
    is_whole = "model.safetensors" in names
    index = {} if is_whole else repository.read_json("model.safetensors.index.json")
    shards = ["model.safetensors"] if is_whole else shard_names(checkpoint.source, index)
    shapes: dict[str, TensorShape] = {}
    for shard in shards[:_MAX_SHARDS]:
        header = repository.read_header(shard)
        shapes |= {name: tuple(row["shape"]) for name, row in header.items()}
        end = max((row["data_offsets"][1] for row in header.values()), default=0)
        found = replace(found, num_bytes=found.num_bytes + end)
    try:
        check_headers(checkpoint, config, shapes)
    except CheckpointUnavailable as error:
        return replace(found, why_not=str(error))
    return found


class _Repository:
    """The beginnings of a repository's files."""

    def __init__(self, api: HfApi, checkpoint: Checkpoint, deadline: float) -> None:
        self._api = api
        self._deadline = deadline
        self.checkpoint = checkpoint

    def read_json(self, name: str) -> dict[str, Any]:
        return self._object(name, self._beginning(name, _MAX_JSON_BYTES))

    def read_header(self, name: str) -> dict[str, Any]:
        """Return what the header of a file of safetensors says of each tensor."""
        first = self._beginning(name, _FIRST_BYTES)
        length = int.from_bytes(first[:8], "little")
        if length > _MAX_JSON_BYTES:
            raise CheckpointUnavailable(f"{name} of {self.checkpoint.source} is no file of safetensors.")
        whole = first if len(first) >= 8 + length else self._beginning(name, 8 + length)
        header = self._object(name, whole[8 : 8 + length])
        return {tensor: row for tensor, row in header.items() if tensor != "__metadata__"}

    def _object(self, name: str, content: bytes) -> dict[str, Any]:
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise CheckpointUnavailable(f"{name} of {self.checkpoint.source} cannot be read ({error}).") from error
        if not isinstance(found, dict):
            raise CheckpointUnavailable(f"{name} of {self.checkpoint.source} must hold a JSON object.")
        return found

    def _beginning(self, name: str, num_bytes: int) -> bytes:
        """Return at most so many bytes of a file: a server that knows no ranges would send all of it."""
        url = hf_hub_url(self.checkpoint.source, name, endpoint=self._api.endpoint)
        headers = {**build_hf_headers(), "Range": f"bytes=0-{num_bytes - 1}"}
        content = b""
        timeout = max(0.1, self._deadline - time.monotonic())
        with get_session().stream("GET", url, headers=headers, timeout=timeout) as response:
            if response.is_error:
                response.read()
            hf_raise_for_status(response)
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) >= num_bytes or time.monotonic() > self._deadline:
                    break
        return content[:num_bytes]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m playground.checkpoints.search", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("text", metavar="TEXT", help="a name, or a part of one")
    try:
        rows = search(parser.parse_args().text)
    except PlaygroundError as error:
        sys.exit(str(error))
    for found in rows:
        print(f"{found}\n  {found.why_not or 'will load: --checkpoint ' + found.repository}")
    if not rows:
        sys.exit("The hub has no Florence-2 of that name.")


if __name__ == "__main__":
    main()
