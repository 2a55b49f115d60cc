"""Find and fetch checkpoints: the hub, and its cache on this machine.

Knows the hub's client, as no other module does. Knows nothing of how the files become a model.
"""

import errno
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import HfApi, constants, errors, hf_hub_download, snapshot_download
from tqdm import tqdm

from playground.checkpoints.catalog import Checkpoint, read_json
from playground.checkpoints.files import check_config, check_names, config_name, is_complete, is_wanted
from playground.errors import CheckpointUnavailable, PlaygroundError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LIST_SECONDS = 30  # for the list of a repository's files
_INSTEAD = ", or choose the tiny demo model, which is on this machine"

_T = TypeVar("_T")


# --- On this machine


def cache_folder() -> Path:
    """Return where what is fetched is kept; need not exist."""
    return Path(constants.HF_HUB_CACHE)


def find_local(checkpoint: Checkpoint, *, cache_dir: Path | None = None) -> Path | None:
    """Return the folder with the checkpoint's files if all are on this machine. Touches no network.

    Where the hub's cache lacks a pinned commit, its main branch will do; `revision_notice` says so.
    """
    if checkpoint.is_local:
        return Path(checkpoint.source)
    for revision in _revisions(checkpoint):
        with suppress(errors.LocalEntryNotFoundError):
            found = snapshot_download(
                checkpoint.source,
                revision=revision,
                cache_dir=cache_dir,
                local_files_only=True,
                allow_patterns=["*.json", "*.safetensors"],
            )
            if is_complete(checkpoint, Path(found)):
                return Path(found)
    return None


def find_picture(dataset: str, name: str, *, offline: bool) -> Path:
    """Return a picture of a public data set, fetched unless it is on this machine. Raises CheckpointUnavailable."""
    try:
        return Path(hf_hub_download(dataset, name, repo_type="dataset", local_files_only=offline))
    except Exception as error:
        raise CheckpointUnavailable(f"{name} of {dataset} could not be fetched ({first_line(error)}).") from error


def resolved_revision(checkpoint: Checkpoint, folder: Path) -> str | None:
    """Return the commit that a folder of the hub's cache is of; None for any other folder."""
    return folder.name if not checkpoint.is_local and _COMMIT.fullmatch(folder.name) else None


def revision_notice(checkpoint: Checkpoint, resolved: str | None) -> str:
    """Return the sentence that says that another commit was found than the pinned one; mostly empty."""
    wanted = checkpoint.revision or ""
    if not resolved or not _COMMIT.fullmatch(wanted) or resolved == wanted:
        return ""
    return (
        f"The pinned revision {wanted[:8]} of {checkpoint.source} could not be had; "
        f"the answers are those of {resolved[:8]} from its main branch."
    )


def offline_error(checkpoint: Checkpoint) -> CheckpointUnavailable:
    """Return the error that says that a checkpoint cannot be fetched, and to whoever runs the playground how it can."""
    return CheckpointUnavailable(
        f"{checkpoint.title} is not on this machine, and the playground is offline. "
        f"Ask whoever runs it{_instead(checkpoint)}.",
        details=f"To get it, start the playground once without --offline, or run `{download_command(checkpoint)}`.",
    )


def _instead(checkpoint: Checkpoint) -> str:
    return _INSTEAD if checkpoint.makes == "answers" else ""


def download_command(checkpoint: Checkpoint) -> str:
    """Return the command of the hub's client that brings a checkpoint to this machine."""
    revision = f" --revision {checkpoint.revision}" if checkpoint.revision else ""
    return f"hf download {checkpoint.source}{revision}"


def _revisions(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the revisions to try: a branch or tag was asked for by name, but a pinned commit falls back to main."""
    revision = checkpoint.revision or "main"
    return (revision, "main") if _COMMIT.fullmatch(revision) else (revision,)


# --- From the hub


def hub_answers(checkpoint: Checkpoint, timeout_seconds: float, *, endpoint: str | None = None) -> bool:
    """Tell whether the hub answers about this checkpoint within this time."""
    api = HfApi(endpoint=endpoint)
    answer = in_background(lambda: api.model_info(checkpoint.source, timeout=timeout_seconds))
    wait([answer], timeout_seconds)  # the request's own timeout does not cover the look-up of the host's name
    return answer.done() and answer.exception() is None


def download(
    checkpoint: Checkpoint,
    on_progress: Callable[[float], None],
    stall_seconds: float,
    *,
    endpoint: str | None = None,
    cache_dir: Path | None = None,
) -> Path:
    """Fetch a checkpoint from the hub into its cache and return the folder.

    `on_progress` is called with the percent of all bytes, 0..100; what it raises ends the download. Raises
    CheckpointUnavailable when the hub refuses, when the disk is full, or when no byte comes for `stall_seconds`.
    """
    transfer = _Transfer(on_progress)
    fetched = in_background(lambda: _fetch(checkpoint, transfer, endpoint=endpoint, cache_dir=cache_dir))
    while not fetched.done():
        idle_seconds = time.monotonic() - transfer.last_byte_at
        if idle_seconds >= stall_seconds:
            transfer.is_abandoned = True
            raise CheckpointUnavailable(
                f"The hub sent nothing of {checkpoint.title} for {stall_seconds:g} seconds. "
                f"Check the connection and try again{_instead(checkpoint)}."
            )
        wait([fetched], stall_seconds - idle_seconds)
    try:
        return fetched.result()
    except PlaygroundError:
        raise
    except Exception as error:
        raise _explained(error, checkpoint) from error


def in_background(work: Callable[[], _T]) -> Future[_T]:
    """Start work in a thread that nobody has to wait for, not even a program that ends."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class _Transfer:
    """Counts the bytes of one download. Shared by the thread that fetches and the one that watches it stall."""

    def __init__(self, on_progress: Callable[[float], None]) -> None:
        self._on_progress = on_progress
        self._num_bytes = 0
        self.total = 0
        self.is_abandoned = False
        self.last_byte_at = time.monotonic()

    def advance(self, num_bytes: float) -> None:
        self.reach(self._num_bytes + int(num_bytes))

    def reach(self, num_bytes: int) -> None:
        """Set the count: a file that was in the cache moves no byte."""
        self.touch()
        self._num_bytes = num_bytes
        self._on_progress(100 * min(num_bytes, self.total) / max(self.total, 1))

    def touch(self) -> None:
        if self.is_abandoned:
            raise CheckpointUnavailable("This download was given up.")
        self.last_byte_at = time.monotonic()


def _fetch(checkpoint: Checkpoint, transfer: _Transfer, *, endpoint: str | None, cache_dir: Path | None) -> Path:
    """Fetch file by file.

    `snapshot_download` would start threads of a pool, which keep an interrupted program alive until the download ends.
    """
    revision, sizes = _list_files(checkpoint, HfApi(endpoint=endpoint))
    transfer.total = sum(sizes.values())
    transfer.reach(0)
    num_bytes = 0
    # The weights, which are large, come last: once they are there, everything is.
    for file_name, size in sorted(sizes.items(), key=lambda item: item[1]):
        path = hf_hub_download(
            checkpoint.source,
            file_name,
            revision=revision,
            endpoint=endpoint,
            cache_dir=cache_dir,
            tqdm_class=_progress_bar(transfer),
        )
        num_bytes += size
        transfer.reach(num_bytes)
        if file_name == config_name(checkpoint):
            check_config(checkpoint, read_json(Path(path)))
    folder = find_local(checkpoint, cache_dir=cache_dir)
    if folder is None:
        raise CheckpointUnavailable(f"{checkpoint.source} changed on the hub while it was fetched. Try again.")
    return folder


def _list_files(checkpoint: Checkpoint, api: HfApi) -> tuple[str, dict[str, int]]:
    """Return the first revision that the hub knows, and the sizes in bytes of the files that we want of it."""
    for revision in _revisions(checkpoint):
        with suppress(errors.RevisionNotFoundError):
            info = api.model_info(checkpoint.source, revision=revision, files_metadata=True, timeout=_LIST_SECONDS)
            sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
            check_names(checkpoint, sizes)
            return revision, {name: size for name, size in sizes.items() if is_wanted(checkpoint, name)}
    raise CheckpointUnavailable(
        f"The hub has {checkpoint.source}, but no revision {checkpoint.revision or 'main'!r} of it. "
        "Leave out the part from the @, or name another revision."
    )


def _progress_bar(transfer: _Transfer) -> type[Any]:
    """Return the class of progress bar that the hub's client is to report its bytes to."""

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            transfer.advance(options.get("initial") or 0)

        def update(self, n: float | None = 1) -> None:
            transfer.advance(n or 0)

        def update_transfer(self, n: float | None = 1) -> None:  # noqa: ARG002
            """Take note of bytes from the network that are not yet bytes of the file."""
            transfer.touch()

        def set_transfer_postfix_str(self, *args: Any, **options: Any) -> None:
            """Show no rate."""

    return Bar


# --- What went wrong


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, short and without a period, to stand within a sentence."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


def _explained(error: Exception, checkpoint: Checkpoint) -> CheckpointUnavailable:
    if isinstance(error, errors.OfflineModeIsEnabled):
        return offline_error(checkpoint)
    return CheckpointUnavailable(_explain(error, checkpoint), details=first_line(error.__cause__ or error) + ".")


def _explain(error: Exception, checkpoint: Checkpoint) -> str:
    match error:
        case errors.HfHubHTTPError():
            return explain_refusal(error, checkpoint.source, instead=_instead(checkpoint))
        case OSError(errno=errno.ENOSPC):
            return (
                f"The disk is full, so {checkpoint.title} could not be fetched. Free some space, or set HF_HOME to a "
                "folder on a larger disk, and try again."
            )
        case PermissionError():
            return (
                f"{checkpoint.title} could not be stored: {error}. Set HF_HOME to a folder that may be written, "
                "and try again."
            )
    return (
        f"{checkpoint.title} could not be fetched: the connection to the hub failed. "
        f"Check the connection and try again{_instead(checkpoint)}."
    )


def explain_refusal(error: errors.HfHubHTTPError, repository: str, *, instead: str = _INSTEAD) -> str:
    """Return what a refusal of the hub means for whoever wants a repository, in a sentence or two."""
    status = error.response.status_code
    match error:
        case errors.GatedRepoError():
            return (
                f"{repository} is open only to accounts that asked for it. Ask at https://huggingface.co/{repository}, "
                "log in with `hf auth login`, and try again."
            )
        case errors.RepositoryNotFoundError():
            return (
                f"The hub shows no repository {repository}, and no folder has that name. Check the spelling; if the "
                "repository is private, log in with `hf auth login` and try again."
            )
    if status in (401, 403):
        return (
            f"The hub refused {repository} with {status}. Log in with `hf auth login`, or check the token in HF_TOKEN, "
            "and try again."
        )
    return f"The hub answered {status} for {repository}. Try again in a few minutes{instead}."
