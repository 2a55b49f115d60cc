"""Replicas on this machine, as long as they are wanted."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from playground.checkpoints import hub
from playground.checkpoints.catalog import CATALOG, Checkpoint, resolve
from playground.checkpoints.files import check_folder
from playground.errors import CheckpointUnavailable, SettingsInvalid
from playground.local_ray import STORE_BYTES, check_installed, local_ray
from playground.serving.wire import DEFAULT_PORT
from playground.settings import WITH


@contextmanager
def local_cluster(
    *,
    replicas: int = 1,
    checkpoint: str = "",
    device: str = "auto",
    precision: str = "auto",
    offline: bool = False,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    metrics_port: int = 0,
    folder: str = "",
    store_bytes: int = STORE_BYTES,
) -> Iterator[str]:
    """Run replicas on this machine, each with its share of the processors; gives the address once they answer.

    Raises SettingsInvalid where Ray is not installed or cannot start, CheckpointUnavailable without the checkpoint.
    """
    check_installed("ray")
    _check_free(host, port, metrics_port)
    checkpoint = _fetched(checkpoint, offline=offline)
    processors = os.cpu_count() or 1
    each = max(1, processors // replicas)
    num_cpus = max(processors, replicas * each)
    with local_ray(num_cpus=num_cpus, store_bytes=store_bytes, folder=folder, metrics_port=metrics_port):
        from ray import serve  # reads what `local_ray` sets

        from playground.serving.app import APP, ServingOptions, build

        options = ServingOptions(
            checkpoint=checkpoint, device=device, precision=precision, offline=offline, replicas=replicas, cpus=each
        )
        open_door(serve.start, host, port)
        try:
            try:
                serve.run(build(options), name=APP, route_prefix="/")
            except RuntimeError as error:
                raise CheckpointUnavailable(_why(serve.status().applications[APP])) from error
            yield f"ray://{host}:{port}"
        finally:
            serve.shutdown()


def open_door(start: Callable[..., Any], host: str, port: int) -> None:
    """Let Serve listen. Raises SettingsInvalid where its proxy is not there in time, as on a machine that is busy."""
    from ray.exceptions import RayError

    try:
        start(http_options={"host": host, "port": port})
    except (RayError, TimeoutError) as error:
        said = " ".join(str(error).split())[:200]
        raise SettingsInvalid(
            f"The replicas' door cannot be opened ({said}). The machine may be too busy: end other work, or try again."
        ) from error


def _check_free(host: str, port: int, metrics_port: int) -> None:
    """Raise SettingsInvalid where something cannot listen, which Serve and Ray would try for long."""
    wanted = [("--port", host, port), *([("--metrics-port", "127.0.0.1", metrics_port)] if metrics_port else [])]
    with ExitStack() as taken:
        for option, address, number in wanted:
            try:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                taken.enter_context(socket.create_server((address, number), family=family))
            except (OSError, OverflowError) as error:
                raise SettingsInvalid(
                    f"Nothing can listen at port {number} of {address} ({error}). Another program may be there; name "
                    f"another {option}."
                ) from error


def _fetched(checkpoint: str, *, offline: bool) -> str:
    """Return a checkpoint's name, or its folder's whole path, once it is on this machine.

    So it is fetched once for all replicas. Where none is named they choose. Raises CheckpointUnavailable.
    """
    if not checkpoint:
        return ""
    named = resolve(checkpoint)
    rows = [row for row in (named.base, named) if row]
    for row in rows:
        if row.is_local:
            check_folder(row, Path(row.source))
        elif not hub.find_local(row):
            if offline:
                raise hub.offline_error(row)
            hub.download(row, lambda _: None, 60.0)
    return WITH.join(map(_place, rows))


def _place(row: Checkpoint) -> str:
    """Return the name by which a process in another folder finds a checkpoint or an adapter."""
    if row.is_local and row not in CATALOG:
        return str(Path(row.source).absolute())
    return row.name if row in CATALOG else f"{row.source}@{row.revision}" if row.revision else row.source


def _why(status: Any) -> str:
    """Return the sentence of ours in what Serve tells of replicas that cannot be made."""
    told = "\n".join([status.message, *(one.message for one in status.deployments.values())])
    said = re.search(r"CheckpointUnavailable: (.+)", told)
    return said[1] if said else "The replicas cannot be started. Start them with --logs FOLDER: their log says why."
