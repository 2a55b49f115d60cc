"""The program that a user starts: its arguments, and the process itself from the first second to Ctrl+C."""

import ast
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file

from playground.__main__ import read_command, serve
from playground.errors import SettingsInvalid
from playground.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "assets" / "examples"
USABLE_WITHIN = 60.0  # seconds until the page answers, on a machine that has other work
ENDS_WITHIN = 30.0

# Runs app.py where every address but this machine's own is refused, and written to a file with who asked for it.
ALONE = """
import ipaddress, runpy, socket, sys, traceback

def is_own(host):
    host = host.decode() if isinstance(host, bytes) else host
    try:
        return host in (None, "", "localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def refuse(host):
    with open(sys.argv[1], "a", encoding="utf-8") as record:
        record.write(f"{host}\\n{''.join(traceback.format_stack(limit=12))}\\n")
    raise OSError(f"{host} was asked for")

def guard(owner, name, host_of):
    real = getattr(owner, name)
    def guarded(*arguments, **options):
        host = host_of(arguments)
        return real(*arguments, **options) if is_own(host) else refuse(host)
    setattr(owner, name, guarded)

def peer(arguments):
    return arguments[1][0] if isinstance(arguments[1], tuple) else None

class Socket(socket.socket):
    pass

guard(Socket, "connect", peer)
guard(Socket, "connect_ex", peer)
socket.socket = Socket
guard(socket, "getaddrinfo", lambda arguments: arguments[0])
sys.argv[:] = ["app.py", *sys.argv[2:]]
runpy.run_path("app.py", run_name="__main__")
"""


# The arguments


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        pytest.param([], {}, Settings(), id="nothing said"),
        pytest.param(
            [
                *("--checkpoint", "a/b", "--device", "cpu", "--precision", "int8", "--masks", "off"),
                *("--host", "0.0.0.0", "--port", "8000", "--offline", "--mcp"),
            ],
            {},
            Settings(
                "a/b", device="cpu", precision="int8", masks="off", host="0.0.0.0", port=8000, offline=True, mcp=True
            ),
            id="every option",
        ),
        pytest.param(
            [],
            {"PLAYGROUND_CHECKPOINT": "a/b", "PLAYGROUND_PORT": "8000", "PLAYGROUND_MAX_MEGAPIXELS": "12"},
            Settings(checkpoint="a/b", port=8000, max_megapixels=12),
            id="environment",
        ),
        pytest.param(
            ["--checkpoint", "c/d", "--port", "9000"],
            {"PLAYGROUND_CHECKPOINT": "a/b", "PLAYGROUND_PORT": "8000", "PLAYGROUND_OFFLINE": "1"},
            Settings(checkpoint="c/d", port=9000, offline=True),
            id="arguments stand over the environment",
        ),
        pytest.param([], {"HF_HUB_OFFLINE": "1"}, Settings(offline=True), id="the hub's own variable"),
        pytest.param([], {"SPACES_ZERO_GPU": "true"}, Settings(on_zero_gpu=True), id="a ZeroGPU space"),
    ],
)
def test_settings_are_read(arguments: list[str], environ: dict[str, str], expected: Settings) -> None:
    assert read_command(arguments, environ) == (False, expected)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--port", "many"], id="no number"),
        pytest.param(["--no-such-option"], id="unknown option"),
        pytest.param(["street.png"], id="an argument without an option"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        read_command(arguments, {})
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_variable_that_cannot_be_used_is_named() -> None:
    with pytest.raises(SettingsInvalid, match="PLAYGROUND_PORT"):
        read_command([], {"PLAYGROUND_PORT": "many"})


# The process


def start(*arguments: str, program: tuple[str, ...] = ("app.py",)) -> subprocess.Popen[str]:
    """Start the program as a user does, its output readable."""
    # A process hands an ignored Ctrl+C down to its children, and one in the background, as under nohup, ignores it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    finally:
        signal.signal(signal.SIGINT, before)


def test_help_is_there_at_once() -> None:
    program = (
        "import runpy, sys\n"
        "sys.argv[:] = ['app.py', '--help']\n"
        "try:\n    runpy.run_path('app.py', run_name='__main__')\n"
        "except SystemExit as error:\n    assert not error.code\n"
        "heavy = {'torch', 'gradio', 'transformers', 'PIL'} & sys.modules.keys()\n"
        "assert not heavy, heavy"
    )
    output, _ = (process := start(program=("-c", program))).communicate(timeout=USABLE_WITHIN)
    assert process.returncode == 0, output
    assert "--checkpoint NAME | HUB_ID | FOLDER" in output


def test_a_ctrl_c_that_comes_between_the_imports_of_a_command_ends_it_with_one_line() -> None:
    begun = "import sys; sys.argv, sys.orig_argv = ['-m'], ['python', '-m', 'playground.annotate']; import playground"
    loading = "import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()"
    process = start(program=("-c", f"{begun}; {loading}; raise KeyboardInterrupt"))
    output, _ = process.communicate(timeout=USABLE_WITHIN)
    assert (process.returncode, output) == (128 + signal.SIGINT, "Ended.\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_command_that_a_host_or_a_closed_terminal_ends_does_what_ctrl_c_does_then(name: str) -> None:
    if not hasattr(signal, name):
        pytest.skip("Windows has no such signal.")
    begun = "import signal, sys; sys.argv, sys.orig_argv = ['-m'], ['python', '-m', 'playground.annotate']"
    # A parent that ignores it, as this test may, hands that down; so do scripts in the background with Ctrl+C.
    begun = f"{begun}; signal.signal(signal.{name}, signal.SIG_DFL); import playground"
    taken = "signal.signal(signal.SIGINT, lambda *_: print('later'))"
    ignored = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    ends = f"signal.raise_signal(signal.{name})"
    process = start(program=("-c", f"{begun}; {taken}; {ends}; {ignored}; {ends}; print('never')"))
    output, _ = process.communicate(timeout=USABLE_WITHIN)
    assert (process.returncode, output) == (128 + signal.SIGINT, "later\nEnded.\n")


@pytest.mark.parametrize("quiet", [False, True], ids=["command", "server"])
def test_an_end_that_comes_within_a_destructor_comes_again(quiet: bool) -> None:
    begun = "import signal, sys, time; sys.argv, sys.orig_argv = ['-m'], ['python', '-m', 'playground.annotate']"
    begun = f"{begun}; signal.signal(signal.SIGTERM, signal.SIG_DFL); import playground"
    quietly = "import playground.ui.server.quiet_log as log; log.keep_the_log_quiet()" if quiet else ""
    destructor = "type('Gone', (), {'__del__': lambda self: signal.raise_signal(signal.SIGTERM)})"
    process = start(program=("-c", f"{begun}; {quietly}\n{destructor}()\ntime.sleep({USABLE_WITHIN})"))
    output, _ = process.communicate(timeout=USABLE_WITHIN)
    assert (process.returncode, output) == (128 + signal.SIGINT, "Ended.\n")


def test_the_program_of_somebody_else_ends_as_it_did() -> None:
    begun = "import sys; sys.argv, sys.orig_argv = ['-m'], ['python', '-m', 'theirs.tool']; import playground"
    output, _ = start(program=("-c", f"{begun}; raise KeyboardInterrupt")).communicate(timeout=USABLE_WITHIN)
    assert output.endswith("KeyboardInterrupt\n")


def test_a_python_that_is_too_old_is_told_before_it_reads_anything_else() -> None:
    program = "import runpy, sys\nsys.version_info = (3, 8, 10)\nrunpy.run_path('app.py', run_name='__main__')"
    output, _ = (process := start(program=("-c", program))).communicate(timeout=USABLE_WITHIN)
    assert process.returncode == 1
    assert output.startswith("Florence-2 Playground needs Python 3.11 or newer, but this is ")
    assert len(output.splitlines()) == 1
    ast.parse((ROOT / "app.py").read_text(encoding="utf-8"), feature_version=(3, 6))  # which such a Python can read


def no_such_thing(_folder: Path) -> str:
    return "nonsense"


def empty_folder(folder: Path) -> str:
    return str(folder)


def other_model(folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    for name in ("preprocessor_config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return str(folder)


@pytest.mark.parametrize(
    ("checkpoint", "said"),
    [
        pytest.param(no_such_thing, "'nonsense' is not a checkpoint.", id="no such thing"),
        pytest.param(empty_folder, "is incomplete: config.json,", id="an empty folder"),
        pytest.param(other_model, "is a checkpoint of model type 'bert', not of Florence-2.", id="another model"),
    ],
)
def test_what_is_no_checkpoint_ends_the_program_with_one_sentence(checkpoint, said: str, tmp_path: Path) -> None:
    process = start("--checkpoint", checkpoint(tmp_path), "--port", str(free_port()))
    try:
        output, _ = process.communicate(timeout=USABLE_WITHIN)
    finally:
        process.kill()
    assert process.returncode == 1
    assert said in output
    assert len(output.strip().splitlines()) == 1


@dataclass(frozen=True)
class Served:
    """The program while it serves its page."""

    process: subprocess.Popen[str]
    url: str
    seconds: float  # until the page answered
    asked: Path  # the addresses beyond this machine that were asked for

    def end(self, number: signal.Signals) -> float:
        """Send a signal, and return how many seconds the program went on."""
        self.process.send_signal(number)
        started = time.monotonic()
        self.process.wait(timeout=ENDS_WITHIN)
        return time.monotonic() - started


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as page:
            return "Florence-2 Playground" in page.read().decode()
    except OSError:
        return False


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Start the program alone on its machine, as far as it can tell, and wait for its page."""
    port, asked, started = free_port(), folder / "asked", time.monotonic()
    arguments = (str(asked), "--offline", "--port", str(port))
    process = start(*arguments, program=("-c", ALONE))
    url = f"http://127.0.0.1:{port}"
    try:
        while not answers(url):
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() - started < USABLE_WITHIN
            time.sleep(0.2)
        yield Served(process, url, time.monotonic() - started, asked)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("offline")) as served:
        yield served


def test_the_page_is_usable_within_seconds(served: Served) -> None:
    assert served.seconds < USABLE_WITHIN


def test_offline_it_answers_with_the_bundled_checkpoint_and_asks_nobody(served: Served) -> None:
    with closing(Client(served.url, verbose=False)) as client:
        prediction, _drawn = client.predict(handle_file(str(EXAMPLES / "meadow.png")), "<OD>", api_name="/run")
    assert prediction["checkpoint"] == "tiny-florence2"
    truth = json.loads((EXAMPLES / "truth.json").read_text(encoding="utf-8"))["meadow.png"]["things"]
    assert sorted(region["label"] for region in prediction["regions"]) == sorted(thing["label"] for thing in truth)
    assert not served.asked.exists(), served.asked.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
def test_ctrl_c_ends_it(served: Served) -> None:
    """The last test that needs it."""
    assert served.end(signal.SIGINT) < ENDS_WITHIN
    assert "Traceback" not in served.process.stdout.read()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.long), pytest.param(signal.SIGINT, id="Ctrl+C")],
)
def test_it_can_be_ended_while_it_answers(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as served:
        client = Client(served.url, verbose=False)
        picture = handle_file(str(EXAMPLES / "desert-large.png"))
        asked: dict[str, str] = {"phrase": "a secret", "decoding": "careful", "api_name": "/run"}
        jobs = [client.submit(picture, task, **asked) for task in ("<OD>", "<REFERRING_EXPRESSION_SEGMENTATION>")]
        while not any(prediction["raw_text"] for job in jobs for prediction, _ in job.outputs()):
            time.sleep(0.01)
        assert served.end(number) < ENDS_WITHIN
        said = served.process.stdout.read()
        assert "Traceback" not in said
        assert "terminate called" not in said
        assert not re.search("secret|desert|REFERRING", said)  # nothing is logged of what people ask


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals.")
def test_it_can_be_ended_while_it_loads(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.end(signal.SIGTERM) < ENDS_WITHIN


def test_without_its_package_mcp_is_refused_with_the_command_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playground.__main__.find_spec", lambda name: None)
    with pytest.raises(SettingsInvalid, match=r"pip install -r requirements-extra\.txt"):
        serve(Settings(mcp=True))


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        pytest.param(["--port", "80000"], {}, "--port must be at most 65535, but got 80000.", id="port"),
        pytest.param(
            [], {"PLAYGROUND_CACHE_FOLDER": "app.py"}, "No folder for uploads can be made in app.py", id="file"
        ),
    ],
)
def test_what_cannot_be_started_ends_with_one_sentence(
    arguments: list[str], variables: dict[str, str], said: str
) -> None:
    end = run_briefly("app.py", *arguments, variables=variables)
    assert (end.returncode, end.stderr.startswith(said), len(end.stderr.splitlines())) == (1, True, 1)


def run_briefly(*arguments: str, variables: dict[str, str] | None = None, out: int = subprocess.PIPE) -> Any:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | (variables or {}),
        stdout=out,
        stderr=subprocess.PIPE,
        text=True,
        timeout=USABLE_WITHIN,
        check=False,
    )


# Says what `--check` says in a terminal that cannot show it, or to who does not read it.
SAY = """
import sys
from playground import __main__, doctor
lines = [doctor.Finding("a run", "· 名前")] * int(sys.argv[1])
doctor.examine = lambda _: lines
sys.argv[1:] = ["--check"]
__main__.main()
"""


def test_a_terminal_without_the_characters_shows_escapes() -> None:
    end = run_briefly("-c", SAY, "1", variables={"PYTHONIOENCODING": "ascii"})
    assert (end.returncode, end.stderr) == (0, "")
    assert r"\xb7 \u540d\u524d" in end.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Only Linux has a device that is always full.")
def test_a_full_output_is_one_sentence() -> None:
    with open("/dev/full", "wb") as full:
        end = run_briefly("-c", SAY, "1", out=full.fileno())
    assert end.returncode == 1
    assert end.stderr.startswith("The output could not be written (No space left on device).")
    assert len(end.stderr.splitlines()) == 1


def test_who_reads_only_the_head_gets_no_complaint() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        end = run_briefly("-c", SAY, "9", out=writer)
    finally:
        os.close(writer)
    assert (end.returncode, end.stderr) == (0, "")
