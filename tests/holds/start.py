"""How long a user waits after typing `python app.py`: for the page, and for the first answer of the bundled model.

    python -m tests.holds.start

Prints seconds, and the processor time of the program, which says more on a machine that has other work; then which
packages are imported until the page is there, by the time that Python took for them.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
from gradio_client import Client, handle_file

from playground.checkpoints.catalog import BUNDLED
from playground.paths import ASSETS

ROOT = Path(__file__).resolve().parents[2]
_ADDRESS = re.compile(r"The page is at (\S+)")
_IMPORT = re.compile(r"import time: +(\d+) \| +\d+ \| +(\S+)")
_SHOWN = 20  # packages


@contextmanager
def _started(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Start the program with options of Python, what it says in one stream, in the order in which it is said."""
    process = subprocess.Popen(
        [sys.executable, *options, "app.py", "--checkpoint", BUNDLED, "--host", "127.0.0.1", "--offline"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _said_until_the_page(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the lines of a program up to the one that says where its page is; after it the model is loaded."""
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if _ADDRESS.search(line):
            return
    raise RuntimeError("The program ended before its page was there.")


def imported_until_the_page() -> dict[str, float]:
    """Return the packages that are imported until the page is there, with the milliseconds that each took by itself."""
    taken: Counter[str] = Counter()
    with _started("-X", "importtime") as process:
        for line in _said_until_the_page(process):
            if found := _IMPORT.match(line):
                taken[found[2].partition(".")[0]] += int(found[1])
    return {name: microseconds / 1000 for name, microseconds in taken.most_common()}


def measure() -> dict[str, list[float]]:
    """Return the seconds, and those of the processors, until the page answered and until the first answer was there."""
    began, figures = time.perf_counter(), {}
    with _started() as process:
        program = psutil.Process(process.pid)

        def mark(name: str) -> None:
            of_processors = sum(program.cpu_times()[:2])
            figures[name] = [round(seconds, 2) for seconds in (time.perf_counter() - began, of_processors)]

        *_, last = _said_until_the_page(process)
        address = _ADDRESS.search(last)
        assert address is not None
        with closing(Client(address[1], verbose=False)) as client:  # reads the page
            mark("page")
            picture = next(iter(sorted((ASSETS / "examples").glob("*.png"))))
            client.predict(handle_file(str(picture)), api_name="/run")
            mark("first answer")
    return figures


if __name__ == "__main__":
    for what, (seconds, of_processors) in (figures := measure()).items():
        print(f"{what:16}{seconds:6.2f} s, of the processors {of_processors:5.2f} s")
    packages = imported_until_the_page()
    for name, milliseconds in [*packages.items()][:_SHOWN]:
        print(f"{name:32}{milliseconds:6.0f} ms")
    print(json.dumps(figures | {"imported_ms": round(sum(packages.values()))}))
