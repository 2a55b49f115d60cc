"""Doubles stand in for the hub, for loading and for the engine; no test sleeps or touches the network."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from playground.checkpoints.catalog import Checkpoint, resolve
from playground.checkpoints.loader import LoadedCheckpoint, Placement
from playground.engines import State, Status, WaitCancelled
from playground.errors import CheckpointUnavailable, SettingsInvalid
from playground.pool import Pool, Steps
from playground.settings import Settings

PATIENCE = 20.0  # seconds, far more than any wait here takes


class FakeEngine:
    max_answer_tokens = 77

    def __init__(self, loaded: LoadedCheckpoint) -> None:
        self.name = loaded.checkpoint.name
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


class World:
    """A hub, a disk and a machine. `local` names are on the disk; what `gates` holds waits until its event is set."""

    def __init__(self, *, local: Collection[str] = (), hub: bool = True, device: str = "cpu") -> None:
        self.local = {"tiny-florence2", *local}
        self.hub = hub
        self.device = device
        self.failures: dict[str, list[Exception]] = {}
        self.gates: dict[str, threading.Event] = {}
        self.percents: dict[str, list[float]] = {}
        self.loads: list[str] = []
        self.asked_hub: list[str] = []
        self.notice = ""
        self.engines: list[FakeEngine] = []

    def steps(self) -> Steps:
        return Steps(self.find_local, self.hub_answers, self.download, self.load, lambda _requested: self.device)

    def find_local(self, checkpoint: Checkpoint) -> Path | None:
        return Path(checkpoint.name) if checkpoint.is_local or checkpoint.name in self.local else None

    def hub_answers(self, checkpoint: Checkpoint, timeout_seconds: float) -> bool:
        self.asked_hub.append(f"{checkpoint.name} {timeout_seconds:g}")
        return self.hub

    def download(self, checkpoint: Checkpoint, on_progress: Callable[[float], None], _stall_seconds: float) -> Path:
        self.asked_hub.append(checkpoint.name)
        for percent in self.percents.get(checkpoint.name, []):
            on_progress(percent)
        self._pass(f"download {checkpoint.name}")
        self.local.add(checkpoint.name)
        return Path(checkpoint.name)

    def load(self, checkpoint: Checkpoint, folder: Path, *, device: str, **_: Any) -> LoadedCheckpoint:
        self.loads.append(checkpoint.name)
        self._pass(checkpoint.name)
        placement = Placement(device, "GPU (Test)", "float32", "because the test says so")
        nothing: Any = None
        return LoadedCheckpoint(
            checkpoint, folder, nothing, nothing, None, None, placement, frozenset(), range(0), 0, None, self.notice,
            "", "", nothing,
        )  # fmt: skip

    def _pass(self, step: str) -> None:
        if step in self.gates:
            assert self.gates[step].wait(PATIENCE)
        if self.failures.get(step):
            raise self.failures[step].pop(0)

    def make_engine(self, loaded: LoadedCheckpoint) -> Any:
        self.engines.append(FakeEngine(loaded))
        return self.engines[-1]


@contextmanager
def running_pool(world: World, **settings: Any) -> Iterator[Pool]:
    pool = Pool(Settings(**settings), make_engine=world.make_engine, steps=world.steps())
    try:
        yield pool
    finally:
        for gate in world.gates.values():
            gate.set()
        pool.close()


def until(pool: Pool, name: str, is_so: Callable[[Status], bool]) -> Status:
    """Wait on the pool's own condition until the status of a name is as wanted."""
    with pool._changed:
        assert pool._changed.wait_for(lambda: is_so(pool.status(name)), PATIENCE), pool.status(name)
        return pool.status(name)


def use(pool: Pool, name: str) -> FakeEngine:
    with pool.acquire(name) as engine:
        assert isinstance(engine, FakeEngine)
        return engine


# --- The first checkpoint


@pytest.mark.parametrize(
    ("world", "settings", "chosen"),
    [
        pytest.param(World(local={"florence-2-base"}, hub=False), {}, "florence-2-base", id="on this machine"),
        pytest.param(World(hub=True), {}, "florence-2-base", id="the hub answers"),
        pytest.param(World(hub=False), {}, "tiny-florence2", id="no hub"),
        pytest.param(World(hub=True, device="cuda"), {}, "florence-2-large", id="a GPU"),
        pytest.param(World(hub=True), {"checkpoint": "tiny-florence2"}, "tiny-florence2", id="named"),
        pytest.param(World(hub=True), {"offline": True}, "tiny-florence2", id="offline"),
    ],
)
def test_the_first_checkpoint_is_chosen_by_name_then_machine_then_hub(
    world: World, settings: dict[str, Any], chosen: str
) -> None:
    with running_pool(world, **settings) as pool:
        pool.start()
        assert use(pool, "").name == chosen
        assert pool.current_name == chosen
        assert world.loads == [chosen]


def test_the_hub_gets_only_as_long_to_answer_as_the_settings_say() -> None:
    world = World(hub=False)
    with running_pool(world, hub_answer_seconds=2.5) as pool:
        use(pool, "")
        assert world.asked_hub == ["florence-2-base 2.5"]


def test_offline_contacts_nobody_and_says_how_to_get_the_checkpoint() -> None:
    world = World(hub=True)
    with running_pool(world, offline=True) as pool:
        use(pool, "")
        with pytest.raises(CheckpointUnavailable, match=r"is not on this machine, and the playground is offline\."):
            use(pool, "florence-2-large")
        details = pool.status("florence-2-large").details
        assert "without --offline, or run `hf download florence-community/" in details
        assert pool.status("florence-2-large").state is State.FAILED
        assert world.asked_hub == []


def test_a_page_opened_at_once_is_told_that_nothing_is_chosen_yet() -> None:
    with running_pool(World()) as pool:
        assert pool.current_name == ""
        assert pool.status().message == "Looking for the checkpoint to use."


def test_the_bundled_checkpoint_answers_when_the_default_fails() -> None:
    world = World(local={"florence-2-base"})
    world.failures["florence-2-base"] = [CheckpointUnavailable("The weights are cut short.")]
    with running_pool(world) as pool:
        pool.start()
        until(pool, "tiny-florence2", lambda status: status.state is State.READY)
        assert pool.current_name == "tiny-florence2"
        assert pool.status("florence-2-base").message == "The weights are cut short."


def test_a_named_checkpoint_that_fails_is_not_replaced_in_silence() -> None:
    world = World()
    world.failures["download florence-2-base"] = [CheckpointUnavailable("The hub is gone.")]
    with running_pool(world, checkpoint="florence-2-base") as pool:
        pool.start()
        until(pool, "florence-2-base", lambda status: status.state is State.FAILED)
        assert pool.current_name == "florence-2-base"
        assert world.loads == []


def test_a_device_that_cannot_be_asked_still_leaves_the_bundled_checkpoint() -> None:
    def no_driver(_requested: str) -> str:
        raise RuntimeError("driver too old")

    world = World()
    steps = Steps(world.find_local, world.hub_answers, world.download, world.load, no_driver)
    pool = Pool(Settings(), make_engine=world.make_engine, steps=steps)
    assert use(pool, "").name == "tiny-florence2"
    pool.close()


# --- Names


def test_the_names_are_the_catalog_and_what_the_settings_name(tmp_path: Path) -> None:
    folder = tmp_path / "my-tune"
    folder.mkdir()
    with running_pool(World(), checkpoint=str(folder)) as pool:
        assert [name for _, name in pool.names()] == [
            "florence-2-base", "florence-2-base-ft", "florence-2-large", "florence-2-large-ft",
            "florence-2-large-promptgen-v2.0", "florence-2-large-promptgen-v1.5", "cogflorence-2.2-large",
            "florence-2-flux-large", "tiny-florence2", "my-tune",
        ]  # fmt: skip
        assert pool.names()[-1] == ("my-tune", "my-tune")
        assert pool.names()[0] == ("Florence-2 base (0.23 B)", "florence-2-base")
        assert use(pool, str(folder)).name == "my-tune"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("somebody/else", id="a repository"),
        pytest.param("/etc", id="a folder"),
        pytest.param("x" * 5000, id="noise"),
    ],
)
def test_a_visitor_cannot_make_the_pool_open_what_it_was_not_made_with(name: str) -> None:
    world = World()
    with running_pool(world) as pool:
        for ask in (pool.request, pool.status, lambda name: use(pool, name)):
            with pytest.raises(CheckpointUnavailable, match=r"Choose one of florence-2-base, .*, tiny-florence2\."):
                ask(name)
        assert world.asked_hub == world.loads == []


def test_what_was_found_on_the_hub_is_admitted_where_the_page_is_one_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "somebody" / "else").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)  # where a folder has the same name
    world = World()
    with running_pool(world) as pool:
        assert pool.admit("somebody/else") == "somebody/else"
        assert use(pool, "somebody/else").name == "somebody/else"
        assert world.asked_hub == ["somebody/else"]
        assert pool.admit("florence-community/Florence-2-large") == "florence-2-large"
        for name in ("/etc", "else", "", "somebody/else/more"):
            with pytest.raises(CheckpointUnavailable, match="is not a checkpoint"):
                pool.admit(name)
    for settings in ({"host": "0.0.0.0"}, {"trusted_proxies": "*"}, {"offline": True}, {"hub_search": False}):
        with (
            running_pool(World(), **settings) as pool,
            pytest.raises(CheckpointUnavailable, match="loads nothing from the hub"),
        ):
            pool.admit("somebody/else")


def test_a_hub_id_of_the_catalog_is_the_catalogs_checkpoint() -> None:
    with running_pool(World(), checkpoint="florence-community/Florence-2-base") as pool:
        assert len(pool.names()) == 9
        assert use(pool, "florence-community/Florence-2-base").name == "florence-2-base"


def test_settings_that_name_no_checkpoint_are_refused_when_the_pool_is_made() -> None:
    with pytest.raises(CheckpointUnavailable, match="'no-such-thing' is not a checkpoint"):
        Pool(Settings(checkpoint="no-such-thing"), make_engine=World().make_engine)


# --- Loading


def test_the_progress_of_a_download_is_told() -> None:
    world = World()
    world.percents["florence-2-base"] = [0.0, 41.7]
    world.gates["download florence-2-base"] = threading.Event()
    with running_pool(world) as pool:
        assert pool.request("florence-2-base").state is State.LOADING
        status = until(pool, "florence-2-base", lambda status: status.percent == 41.7)
        assert status.state is State.DOWNLOADING
        assert status.message == "Downloading Florence-2 base: 42 %"


@pytest.mark.parametrize(
    ("notice", "details"),
    [
        pytest.param("", "GPU (Test), float32 (because the test says so)", id="as asked for"),
        pytest.param(
            "Another revision answers.",
            "GPU (Test), float32 (because the test says so). Another revision answers.",
            id="with a notice",
        ),
    ],
)
def test_a_ready_checkpoint_says_on_demand_where_it_runs_and_why(notice: str, details: str) -> None:
    world = World()
    world.notice = notice
    with running_pool(world, device="cuda:1") as pool:
        use(pool, "tiny-florence2")
        status = pool.status("tiny-florence2")
        ready = Status(resolve("tiny-florence2"), State.READY, "Tiny demo model is ready.", None, 77, details)
        assert status == ready


@pytest.mark.parametrize(
    ("world", "settings", "why"),
    [
        pytest.param(World(), {"offline": True},
                     "Florence-2 is not on this machine, and the playground is offline: so the demo model answers.",
                     id="offline"),
        pytest.param(World(hub=False), {},
                     "Florence-2 is not on this machine, and the hub does not answer: so the demo model answers.",
                     id="no hub"),
        pytest.param(World(), {"checkpoint": "tiny-florence2"}, "", id="asked for"),
    ],
)  # fmt: skip
def test_it_is_said_why_the_demo_model_answers(world: World, settings: dict[str, Any], why: str) -> None:
    with running_pool(world, **settings) as pool:
        use(pool, "")
        assert pool.status().why == why


def test_a_demo_model_that_cannot_run_is_not_said_to_answer() -> None:
    world = World(hub=False)
    world.failures["tiny-florence2"] = [SettingsInvalid("There is no such device.")] * 2  # a quick one is tried again
    with running_pool(world) as pool:
        with pytest.raises(CheckpointUnavailable, match="cannot run here"):
            use(pool, "")
        assert (pool.status().details, pool.status().why) == ("There is no such device.", "")


def test_a_download_does_not_keep_another_checkpoint_from_loading() -> None:
    world = World()
    world.gates["download florence-2-base"] = threading.Event()
    with running_pool(world) as pool:
        pool.request("florence-2-base")
        until(pool, "florence-2-base", lambda status: status.state is State.DOWNLOADING)
        assert use(pool, "tiny-florence2").name == "tiny-florence2"
        assert pool.status("florence-2-base").state is State.DOWNLOADING


def test_two_names_at_once_are_both_loaded_one_after_the_other() -> None:
    world = World(local={"florence-2-base"})
    world.gates["florence-2-base"] = threading.Event()
    with running_pool(world) as pool:
        pool.request("florence-2-base")
        until(pool, "florence-2-base", lambda _status: world.loads == ["florence-2-base"])
        asked_twice = iter([False, True]).__next__
        with pytest.raises(WaitCancelled), pool.acquire("tiny-florence2", cancelled=asked_twice):
            pytest.fail("both were loaded at the same time")
        world.gates["florence-2-base"].set()
        for name in ("florence-2-base", "tiny-florence2"):
            assert use(pool, name).name == name


def test_many_requests_for_one_name_load_it_once() -> None:
    world = World()
    with running_pool(world) as pool:
        for _ in range(5):
            pool.request("tiny-florence2")
        assert len({id(use(pool, "tiny-florence2")) for _ in range(3)}) == 1
        assert world.loads == ["tiny-florence2"]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        pytest.param(CheckpointUnavailable("Its weights are damaged."), "Its weights are damaged.", id="told"),
        pytest.param(KeyError("x"), "Tiny demo model could not be loaded (KeyError).", id="a bug"),
    ],
)
def test_a_failed_load_is_told_and_tried_again_when_asked_again(failure: Exception, sentence: str) -> None:
    world = World()
    world.failures["tiny-florence2"] = [failure]
    with running_pool(world) as pool:
        with pytest.raises(CheckpointUnavailable) as caught:
            use(pool, "tiny-florence2")
        assert str(caught.value) == pool.status("tiny-florence2").message == sentence
        assert use(pool, "tiny-florence2").name == "tiny-florence2"


# --- Waiting


@pytest.mark.parametrize(
    ("gate", "percents", "sentence"),
    [
        pytest.param(
            "download florence-2-base",
            [42.0],
            "Florence-2 base is still downloading (42 %) after 0 seconds. Try again later, or choose the tiny demo "
            "model.",
            id="download",
        ),
        pytest.param(
            "florence-2-base",
            [],
            "Florence-2 base is still loading after 0 seconds. Try again later, or choose the tiny demo model.",
            id="load",
        ),
    ],
)
def test_a_wait_ends_in_time_with_the_progress(gate: str, percents: list[float], sentence: str) -> None:
    world = World()
    world.gates[gate] = threading.Event()
    world.percents["florence-2-base"] = percents
    with running_pool(world, load_wait_seconds=0) as pool:
        pool.request("florence-2-base")
        if percents:
            until(pool, "florence-2-base", lambda status: status.percent == percents[-1])
        else:
            until(pool, "florence-2-base", lambda _status: "florence-2-base" in world.loads)
        with pytest.raises(CheckpointUnavailable) as caught:
            use(pool, "florence-2-base")
        assert str(caught.value) == sentence


def test_waiting_without_a_name_returns_when_the_start_is_over() -> None:
    world = World(local={"florence-2-base"})
    world.failures["florence-2-base"] = [CheckpointUnavailable("The weights are cut short.")]
    with running_pool(world) as pool:
        status = pool.wait()
        assert (status.checkpoint.name, status.state) == ("tiny-florence2", State.READY)
        assert pool.wait() == status
        assert world.loads == ["florence-2-base", "tiny-florence2"]


def test_waiting_for_a_name_loads_it() -> None:
    with running_pool(World()) as pool:
        assert pool.wait("florence-2-large").state is State.READY
        assert use(pool, "florence-2-large").name == "florence-2-large"


def test_waiting_for_what_fails_tells_the_failure_and_does_not_try_again() -> None:
    world = World()
    world.failures["tiny-florence2"] = [CheckpointUnavailable("Its weights are damaged.")]
    with running_pool(world, checkpoint="tiny-florence2", load_wait_seconds=0) as pool:
        for _ in range(2):
            status = pool.wait()
            assert (status.state, status.message) == (State.FAILED, "Its weights are damaged.")
        assert world.loads == ["tiny-florence2"]


@pytest.mark.parametrize("name", [pytest.param("", id="the first"), pytest.param("tiny-florence2", id="a name")])
def test_closing_ends_a_wait_that_has_no_limit(name: str) -> None:
    world = World()
    world.gates["tiny-florence2"] = threading.Event()
    with running_pool(world, checkpoint="tiny-florence2") as pool:
        pool.start()
        closing = threading.Timer(0.05, pool.close)
        closing.start()
        with pytest.raises(CheckpointUnavailable, match="closing"):
            pool.wait(name)


def test_a_cancelled_wait_ends_and_the_load_goes_on() -> None:
    world = World()
    world.gates["tiny-florence2"] = threading.Event()
    with running_pool(world) as pool:
        with pytest.raises(WaitCancelled), pool.acquire("tiny-florence2", cancelled=lambda: True):
            pytest.fail("nothing is loaded yet")
        world.gates["tiny-florence2"].set()
        until(pool, "tiny-florence2", lambda status: status.state is State.READY)


def test_closing_ends_a_wait() -> None:
    world = World()
    world.gates["tiny-florence2"] = threading.Event()
    with running_pool(world) as pool:

        def close_while_it_loads() -> bool:
            if world.loads:
                pool.close()
            return False

        waiting = pool.acquire("tiny-florence2", cancelled=close_while_it_loads)
        with pytest.raises(CheckpointUnavailable, match="closing"), waiting:
            pytest.fail("nothing is loaded yet")


def test_closing_ends_a_download_at_its_next_byte() -> None:
    class Hub(World):
        error: Exception | None = None

        def download(self, checkpoint: Checkpoint, on_progress: Callable[[float], None], _stall: float) -> Path:
            self._pass("download")
            try:
                on_progress(50.0)
            except CheckpointUnavailable as error:
                self.error = error
                raise
            return Path(checkpoint.name)

    world = Hub()
    world.gates["download"] = threading.Event()
    with running_pool(world) as pool:
        pool.request("florence-2-base")
        until(pool, "florence-2-base", lambda status: status.state is State.DOWNLOADING)
        pool.close()
        world.gates["download"].set()
        until(pool, "florence-2-base", lambda status: status.state is State.FAILED)
        assert "closing" in str(world.error)


# --- Unloading


def test_the_least_recently_used_engine_is_unloaded() -> None:
    world = World(local={"florence-2-base", "florence-2-large"})
    with running_pool(world, max_loaded_checkpoints=2) as pool:
        tiny = use(pool, "tiny-florence2")
        base = use(pool, "florence-2-base")
        use(pool, "tiny-florence2")
        large = use(pool, "florence-2-large")
        assert (tiny.is_closed, base.is_closed, large.is_closed) == (False, True, False)
        assert pool.status("florence-2-base").state is State.ABSENT
        assert use(pool, "florence-2-base") is not base


def test_an_engine_in_use_is_never_unloaded() -> None:
    world = World(local={"florence-2-base", "florence-2-large"})
    with running_pool(world, max_loaded_checkpoints=2) as pool:
        with pool.acquire("tiny-florence2"):
            use(pool, "florence-2-base")
            use(pool, "florence-2-large")
            assert not world.engines[0].is_closed
        assert [engine.is_closed for engine in world.engines] == [False, True, False]


def test_where_all_are_in_use_a_newcomer_waits_for_the_first_to_end() -> None:
    world = World(local={"florence-2-base"})
    with running_pool(world, max_loaded_checkpoints=1) as pool:
        with ExitStack() as first_run:
            first_run.enter_context(pool.acquire("tiny-florence2"))
            pool.request("florence-2-base")
            status = until(pool, "florence-2-base", lambda status: "waits" in status.message)
            assert status.message == "Florence-2 base waits until a running answer has ended."
            assert (status.state, world.loads) == (State.LOADING, ["tiny-florence2"])
        until(pool, "florence-2-base", lambda status: status.state is State.READY)
        assert world.engines[0].is_closed


def test_a_newcomer_that_waited_is_told_as_loading_again() -> None:
    world = World(local={"florence-2-base"})
    world.gates["florence-2-base"] = threading.Event()
    with running_pool(world, max_loaded_checkpoints=1) as pool:
        with pool.acquire("tiny-florence2"):
            pool.request("florence-2-base")
            until(pool, "florence-2-base", lambda status: "waits" in status.message)
        status = until(pool, "florence-2-base", lambda status: "waits" not in status.message)
        assert status.message == "Loading Florence-2 base."


def test_a_run_that_fails_gives_its_engine_back() -> None:
    world = World(local={"florence-2-base"})
    with running_pool(world, max_loaded_checkpoints=1) as pool:
        with pytest.raises(ValueError, match="the run failed"), pool.acquire("tiny-florence2"):
            raise ValueError("the run failed")
        assert use(pool, "florence-2-base").name == "florence-2-base"


def test_closing_closes_every_engine_and_refuses_more() -> None:
    world = World(local={"florence-2-base"})
    with running_pool(world) as pool:
        use(pool, "tiny-florence2")
        use(pool, "florence-2-base")
        pool.close()
        assert [engine.is_closed for engine in world.engines] == [True, True]
        with pytest.raises(CheckpointUnavailable, match="closing"):
            pool.request("tiny-florence2")
