"""A cluster of two replicas on this machine: what can go wrong in one, with a real Ray. One for all tests."""

import importlib.util
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from playground.engines import Ask, AskedEngine
from playground.errors import EngineFailed, SettingsInvalid
from playground.events import Event, Finished, Token
from playground.local_ray import local_ray
from playground.pictures.reader import InputImage
from playground.predictor import Predictor
from playground.serving import cluster
from playground.serving.client import RemoteEngines
from playground.serving.connection import cluster_url
from playground.serving.faults import processes_of
from playground.serving.load import LoadFigures, expected_answers, measure_load
from playground.settings import Settings
from tests.serving.over_http import until

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed; requirements-scale.txt has it."
)

MAX_CROPS = 32
OD = "Locate the objects with category name in the image."
TOLD = [f"ray_florence2_{name}" for name in ("answers_total", "tokens_total", "encode_seconds_count", "waiting")]


def free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="module")
def heard() -> Iterator[list[int]]:
    """Give the signals by which this program was told to end."""
    signals: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: signals.append(number))
    yield signals
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def engines(ports: tuple[int, int], heard: list[int]) -> Iterator[RemoteEngines]:
    import ray  # noqa: F401  Before the program does: whoever joined another Ray first is on loopback as well.

    from playground.serving.cluster import local_cluster

    port, metrics_port = ports
    before = set(processes_called("ray::"))
    with local_cluster(
        replicas=2, checkpoint="tiny-florence2", device="cpu", offline=True, port=port, metrics_port=metrics_port
    ) as address:
        engines = RemoteEngines(address, Settings())
        engines.wait()
        started = set(processes_called("ray::")) - before
        yield engines
        engines.close()
    until(lambda: not started & set(processes_called("ray::")))


@pytest.fixture(scope="module")
def expected() -> dict[tuple[str, str], str]:
    return {}


def processes_called(name: str) -> list[int]:
    """Return this machine's processes of a name that this program has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_own = os.getsid(int(process.name)) == os.getsid(0)
            if is_own and name.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except (OSError, ProcessLookupError):
            continue
    return found


def written(events: Sequence[Event]) -> list[tuple[int, str]]:
    """Return the tokens of an answer; the last digits of their scores depend on who is asked with them."""
    assert isinstance(events[-1], Finished)
    return [(event.id, event.text) for event in events if isinstance(event, Token)]


def crowd(
    engines: RemoteEngines, people: int, seconds: float, fault: str, known: dict[tuple[str, str], str]
) -> LoadFigures:
    """Let people ask, who know what one process says."""

    def expect(pictures: Sequence[InputImage]) -> dict[tuple[str, str], str]:
        if not known:
            known.update(expected_answers("tiny-florence2", pictures))
        return known

    figures = LoadFigures(2, people, "tiny-florence2", fault, os.cpu_count() or 1)
    return measure_load(engines, figures, seconds, expected=expect, fault_every=2)


@pytest.mark.parametrize("option", ["port", "metrics_port"])
def test_a_port_that_is_taken_is_a_sentence(option: str) -> None:
    from playground.serving.cluster import local_cluster

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = {"port": free_port(), option: taken.getsockname()[1]}
        with pytest.raises(SettingsInvalid, match=f"name another --{option.replace('_', '-')}"), local_cluster(**ports):
            pass


def test_one_port_for_both_is_a_sentence() -> None:
    from playground.serving.cluster import local_cluster

    port = free_port()
    with (
        pytest.raises(SettingsInvalid, match="name another --metrics-port"),
        local_cluster(port=port, metrics_port=port),
    ):
        pass


def test_a_ray_that_cannot_start_is_a_sentence(tmp_path: Path) -> None:
    (file := tmp_path / "logs").write_bytes(b"")
    with (
        pytest.raises(SettingsInvalid, match="Ray cannot start on this machine"),
        local_ray(num_cpus=1, folder=str(file)),
    ):
        pass


def test_a_machine_that_is_too_busy_for_it_is_a_sentence() -> None:
    from playground.serving.cluster import open_door

    def start(**_: object) -> None:
        raise TimeoutError("HTTP proxies not available after 60s.")

    with pytest.raises(SettingsInvalid, match=r"not available after 60s.*end other work, or try again"):
        open_door(start, "127.0.0.1", 1)


def test_many_people_are_answered_while_some_leave(
    engines: RemoteEngines, expected: dict[tuple[str, str], str]
) -> None:
    figures = crowd(engines, 6, 4, "leaving", expected)
    assert (figures.lost, figures.doubled, figures.wrong, figures.refused, figures.retries) == (0, 0, 0, 0, 0)
    assert figures.answers > 6
    assert len(figures.others_in_turn) == 20, "five looks a second at who uses the processors"
    assert figures.left > 2
    assert figures.second_without_encoding is not None
    assert figures.second_without_encoding > 0.8


def test_it_listens_on_loopback_and_tells_its_figures(engines: RemoteEngines, ports: tuple[int, int]) -> None:
    own = processes_called("ray::")
    assert len(own) > 3
    inodes = {os.readlink(link) for pid in own for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            where, state, inode = line.split()[1], line.split()[3], line.split()[9]
            if state == "0A" and f"socket:[{inode}]" in inodes:
                address = where.split(":")[0]
                assert address in ("0100007F", "0000000000000000FFFF00000100007F"), where
    assert httpx.get(f"{cluster_url(f'ray://127.0.0.1:{ports[0]}')}/-/healthz").status_code == 200

    def figures() -> str:
        return httpx.get(f"http://127.0.0.1:{ports[1]}/metrics", timeout=30).text

    until(lambda: all(name in figures() for name in TOLD), 60)


def test_a_program_beside_its_ray_hears_that_it_is_to_end(engines: RemoteEngines, heard: list[int]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    until(lambda: heard == [signal.SIGTERM], 10)


def test_a_killed_replica_and_controller_lose_nothing(
    engines: RemoteEngines, expected: dict[tuple[str, str], str], image: InputImage
) -> None:
    retries = engines.connection.num_retries
    with engines.acquire() as engine, ThreadPoolExecutor(MAX_CROPS) as people:
        asks, whole = asks_of_both(engines, image)
        stopped, other = processes_of("ServeReplica")
        said, rest = stopped_in_the_middle(engine, asks, stopped, people)
        os.kill(other, signal.SIGSTOP)
        late = [people.submit(list, engine.generate([ask])) for ask in asks]
        time.sleep(1)  # until they are at their replicas
        os.kill(stopped, signal.SIGKILL)
        os.kill(processes_of("ServeController")[0], signal.SIGKILL)
        os.kill(other, signal.SIGCONT)
        answers = [[first, *others.result()] for first, others in zip(said, rest, strict=True)]
        answers += [answer.result() for answer in late]
    for before, after in zip(whole * 2, answers, strict=True):
        assert written(after) == written(before)
    assert engines.connection.num_retries > retries
    figures = crowd(engines, 4, 2, "none", expected)
    assert (figures.lost, figures.doubled, figures.wrong, figures.refused) == (0, 0, 0, 0)


def stopped_in_the_middle(
    engine: AskedEngine, asks: Sequence[Ask], pid: int, people: ThreadPoolExecutor
) -> tuple[list[Event], list[Future[list[Event]]]]:
    """Ask until a replica that is stopped has begun an answer and not ended it.

    Returns the first event of each answer, and what follows.
    """
    for _ in range(20):
        answers = [engine.generate([ask]) for ask in asks]
        said = list(people.map(next, answers))
        os.kill(pid, signal.SIGSTOP)
        rest = [people.submit(list, answer) for answer in answers]
        if wait(rest, timeout=2).not_done:
            return said, rest
        os.kill(pid, signal.SIGCONT)
    raise AssertionError("each answer had ended before its replica could be stopped")


def asks_of_both(engines: RemoteEngines, image: InputImage) -> tuple[list[Ask], list[list[Event]]]:
    """Return asks about parts of a picture, of which either replica answers some, and what is answered."""
    asks: list[Ask] = []
    answers: list[list[Event]] = []
    with engines.acquire() as engine:
        while len(asks) < 3 or len({engines.connection.answered_by[ask.image.digest] for ask in asks}) < 2:
            assert len(asks) < MAX_CROPS, "one replica answers all"
            asks.append(Ask(image.crop((0.0, 0.0, 300.0 - 5 * len(asks), 200.0)), OD))
            answers.append(list(engine.generate(asks[-1:])))
    return asks, answers


def test_the_logs_hold_nothing_of_anybody(engines: RemoteEngines, image: InputImage) -> None:
    import ray

    word = "Quedlinburg"
    Predictor(engines).predict(image, "<OPEN_VOCABULARY_DETECTION>", phrase=f"car, {word}")
    with engines.acquire() as engine, pytest.raises(EngineFailed, match="the model takes at most"):
        list(engine.generate([Ask(image, f"{word} " * 1000)]))
    logs = Path(ray._private.worker.global_worker.node.get_logs_dir_path())
    said = {file.name: file.read_bytes() for file in logs.rglob("*") if file.is_file()}
    assert any(b"POST" in content for content in said.values()), "each request has its line"
    assert not [name for name, content in said.items() if word.encode() in content]


@pytest.mark.long
def test_after_a_thousand_answers_that_nobody_waits_for_it_answers_as_before(
    engines: RemoteEngines, image: InputImage
) -> None:
    with engines.acquire() as engine:
        before = written(list(engine.generate([Ask(image, OD)])))

        def leave(_: int) -> None:
            answer = engine.generate([Ask(image, OD)])
            next(answer)
            answer.close()

        with ThreadPoolExecutor(8) as people:
            list(people.map(leave, range(1000)))
        assert written(list(engine.generate([Ask(image, OD)]))) == before


def test_why_replicas_cannot_be_made_is_what_one_of_them_has_said() -> None:
    failed = SimpleNamespace(
        message="It failed.\n  Traceback\nplayground.errors.CheckpointUnavailable: No 'cuda' here."
    )
    told = SimpleNamespace(message="Failed to update the deployments.", deployments={"Florence2": failed})
    assert cluster._why(told) == "No 'cuda' here."
