"""A Ray of this program's own on this machine: it listens on loopback, tells nobody anything and ends with the program.

Knows how Ray is started and ended. Knows nothing of what runs on it.
"""

import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from playground.errors import SettingsInvalid

STORE_BYTES = 200_000_000
_OWN = re.compile(r"ray-(\d+)-[a-z0-9_]{8}")  # a folder of this program's, and which process made it
# The third: without it Ray listens on every address of the machine, in order to be one of several, which on macOS and
# Windows it never does.
_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def check_installed(*packages: str) -> None:
    """Raise SettingsInvalid where one of the packages for clusters is not installed."""
    for package in packages:
        if find_spec(package) is None:
            sentence = f"This needs the package {package}. Install it: pip install -r requirements-scale.txt"
            raise SettingsInvalid(sentence)


def delete_what_was_left(folder: Path) -> None:
    """Delete what programs that were killed have left in a folder: it is named by their process, which is gone."""
    for left in folder.glob("ray-*-*"):
        if (named := _OWN.fullmatch(left.name)) and not _is_running(int(named[1])):
            shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where this is not asked with a signal, but a signal ends whoever is asked
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True


@contextmanager
def _alone_on_loopback() -> Iterator[None]:
    """Let a Ray that starts in this listen on loopback and find this code; one that is joined later is as ever."""
    paths = [str(Path(__file__).parents[1]), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    wanted = _VARIABLES | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    from ray._private import ray_constants

    # Ray reads the third variable when it is imported, and whoever calls this may have imported it before.
    listens_everywhere, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = listens_everywhere
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _own_ending() -> Iterator[None]:
    """Keep what this program does when it is told to end: Ray would let it abort instead, and print where it was."""
    told_to_end = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, told_to_end)


@contextmanager
def local_ray(
    *, num_cpus: int, store_bytes: int = STORE_BYTES, folder: str = "", metrics_port: int = 0
) -> Iterator[None]:
    """Run a Ray with so many processors, real or not. What it logs lies in `folder`; without one it is deleted.

    Raises SettingsInvalid where Ray is not installed, or cannot start.
    """
    check_installed("ray")
    delete_what_was_left(Path(tempfile.gettempdir()))
    with (
        _alone_on_loopback(),
        tempfile.TemporaryDirectory(prefix=f"ray-{os.getpid()}-", ignore_cleanup_errors=True) as own,
    ):
        import ray

        try:
            with _own_ending():
                ray.init(
                    address="local", num_cpus=num_cpus, include_dashboard=False, object_store_memory=store_bytes,
                    log_to_driver=False, configure_logging=False, _temp_dir=folder or own,
                    _metrics_export_port=metrics_port or None,
                )  # fmt: skip
        except Exception as error:  # Ray has no kind of its own for it
            said = " ".join(str(error).split())[:200]
            raise SettingsInvalid(f"Ray cannot start on this machine ({said}).") from error
        try:
            yield
        finally:
            ray.shutdown()
