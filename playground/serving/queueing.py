"""A cluster as a queueing model, event by event: who asks, on which processors the work is done, and who waits.

All work is in seconds of processor time. A thread is on one processor, and shares it with whoever else is there, other
programs too; so of two replicas one can be put off while the other is not. The program that asks and the proxy do one
thing after another, as Python does. A replica answers some of those who wait together; the longest answer takes as long
as all do. Knows no cluster and no checkpoint.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from statistics import median, quantiles
from typing import Any

import simpy

from playground.serving.processor_time import LOOK_SECONDS

_FOREVER = float("inf")
_PIECE_SECONDS = 0.1  # of other programs' work at once, in the mean: chosen, as nobody can look at that
_Steps = Generator[simpy.Event, Any, None]
People = Sequence[Sequence[int]]  # of each, how many tokens the answers have that he asks for again and again


@dataclass(frozen=True, slots=True)
class Costs:
    """What an answer takes, in seconds of processor time but for `wait`, in which nobody works: of its last bundle.

    A replica works `begin` for an answer alone, `token` for each token of it, and `new` more for a picture that it has
    not encoded; each further answer of a batch takes `more` times what one takes. `threads` is on how many processors
    at once, `at_once` how many answers a batch may have. On an `accelerator` a replica's times are those of the clock,
    and of nobody's processor.
    """

    client: float
    proxy: float
    rest: float
    begin: float
    token: float
    more: float
    new: float
    wait: float
    at_once: int
    threads: float = 1.0
    accelerator: bool = False


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it."""

    answers_per_minute: float
    p50_s: float
    p95_s: float


class _Processor:
    """One processor, shared in equal parts by all threads that are on it. Says when the last one has left."""

    def __init__(self, env: simpy.Environment, when_idle: Callable[["_Processor"], None]) -> None:
        self._env, self._when_idle = env, when_idle
        self._progress = 0.0  # seconds that a thread which was on it since 0 has run
        self._since = 0.0
        self._threads: list[tuple[float, int, simpy.Event]] = []
        self._order, self._version = count(), 0

    @property
    def num_threads(self) -> int:
        return len(self._threads)

    def take(self, seconds: float, done: simpy.Event) -> None:
        """Run a thread for so long, and then say that it is done."""
        self._go_on()
        heapq.heappush(self._threads, (self._progress + seconds, next(self._order), done))
        self._look_again()

    def give(self) -> tuple[float, simpy.Event]:
        """Give away the thread that has the most left."""
        self._go_on()
        last = max(self._threads)
        self._threads.remove(last)
        heapq.heapify(self._threads)
        self._look_again()
        return last[0] - self._progress, last[2]

    def _go_on(self) -> None:
        self._progress += (self._env.now - self._since) / max(1, len(self._threads))
        self._since = self._env.now

    def _look_again(self) -> None:
        self._version += 1
        if self._threads:
            seconds = max(0.0, self._threads[0][0] - self._progress) * len(self._threads)
            self._env.timeout(seconds, self._version).callbacks.append(self._end)

    def _end(self, looked: simpy.Event) -> None:
        if looked.value != self._version:  # a thread has come or gone since
            return
        self._go_on()
        heapq.heappop(self._threads)[2].succeed()
        self._look_again()
        if not self._threads:
            self._when_idle(self)


class Processors:
    """So many processors. A thread stays on one until it ends, or until another one has nothing to do.

    `others` is how many of them other programs use, from one look to the next, again and again: in pieces of work that
    come whenever they come.
    """

    def __init__(self, env: simpy.Environment, number: int, others: Sequence[float] = ()) -> None:
        self._env = env
        self._all = [_Processor(env, self._find_work) for _ in range(number)]
        if others:
            env.process(self._other_programs(others))

    def work(self, seconds: float, threads: float = 1.0) -> simpy.Event:
        """Return the event of the end of some work on so many threads, of which the last may have less to do."""
        parts = [seconds / threads] * int(threads)
        if rest := threads - int(threads):
            parts.append(seconds / threads * rest)
        done = [self._begin(part) for part in parts]
        return done[0] if len(done) == 1 else simpy.AllOf(self._env, done)

    def _begin(self, seconds: float) -> simpy.Event:
        done = self._env.event()
        min(self._all, key=lambda processor: processor.num_threads).take(seconds, done)
        return done

    def _find_work(self, idle: _Processor) -> None:
        busiest = max(self._all, key=lambda processor: processor.num_threads)
        if busiest.num_threads > 1:
            idle.take(*busiest.give())

    def _other_programs(self, used: Sequence[float]) -> _Steps:
        chance = random.Random(0)
        for look, processors in enumerate(cycle(used), 1):
            until = look * LOOK_SECONDS
            while processors and self._env.now + (pause := chance.expovariate(processors / _PIECE_SECONDS)) < until:
                yield self._env.timeout(pause)
                self._begin(chance.expovariate(1 / _PIECE_SECONDS))
            yield self._env.timeout(max(0.0, until - self._env.now))


class _OneByOne:
    """A process that does one thing after another."""

    def __init__(self, env: simpy.Environment, processors: Processors) -> None:
        self._turn = simpy.Resource(env)
        self._processors = processors

    def work(self, seconds: float) -> _Steps:
        with self._turn.request() as turn:
            yield turn
            yield self._processors.work(seconds)


@dataclass(frozen=True, slots=True)
class _Waiting:
    answered: simpy.Event
    num_tokens: int
    is_new: bool


class _Replica:
    def __init__(self, env: simpy.Environment, costs: Costs, processors: Processors, proxy: _OneByOne) -> None:
        self.processors, self.proxy = processors, proxy
        self._env, self._costs = env, costs
        self._waiting: deque[_Waiting] = deque()
        self._came = env.event()
        env.process(self._work())

    def ask(self, num_tokens: int, *, is_new: bool) -> simpy.Event:
        """Return the event of an answer."""
        answered = self._env.event()
        self._waiting.append(_Waiting(answered, num_tokens, is_new))
        if not self._came.triggered:
            self._came.succeed()
        return answered

    def _work(self) -> _Steps:
        while True:
            if not self._waiting:
                self._came = self._env.event()
                yield self._came
            batch = [self._waiting.popleft() for _ in range(min(self._costs.at_once, len(self._waiting)))]
            yield from self._answer(sorted(batch, key=lambda one: one.num_tokens))

    def _answer(self, batch: Sequence[_Waiting]) -> _Steps:
        costs, grown = self._costs, 1 + self._costs.more * (len(batch) - 1)
        yield self._run(costs.new * sum(one.is_new for one in batch) + costs.begin * grown)
        written = 0
        for one in batch:
            if one.num_tokens > written:
                yield self._run(costs.token * (one.num_tokens - written) * grown)
                written = one.num_tokens
            one.answered.succeed()

    def _run(self, seconds: float) -> simpy.Event:
        if self._costs.accelerator:
            return self._env.timeout(seconds)
        return self.processors.work(seconds, self._costs.threads)


class _Asking:
    """Questions on their way, and how long each took."""

    def __init__(self, env: simpy.Environment, costs: Costs, client: _OneByOne | None) -> None:
        """Without `client` whoever asks has processors enough elsewhere."""
        self.env, self._costs, self._client = env, costs, client
        self._chance = random.Random(0)
        self.took: list[float] = []

    def question(self, replica: _Replica, num_tokens: int, *, is_new: bool) -> _Steps:
        costs, started = self._costs, self.env.now
        yield from self._asks(costs.client / 2)
        yield from replica.proxy.work(costs.proxy / 2)
        yield replica.ask(num_tokens, is_new=is_new)
        replica.processors.work(costs.rest)  # for which nobody waits
        yield self.env.timeout(2 * costs.wait * self._chance.random())
        yield from replica.proxy.work(costs.proxy / 2)
        yield from self._asks(costs.client / 2)
        self.took.append(self.env.now - started)

    def _asks(self, seconds: float) -> _Steps:
        if self._client:
            yield from self._client.work(seconds)
        else:
            yield self.env.timeout(seconds)


def simulate_people(
    costs: Costs,
    *,
    people: Sequence[People],
    processors: int,
    lead: float,
    seconds: float,
    others: Sequence[float] = (),
) -> Simulated:
    """Simulate people who ask again as soon as they are answered, all with the replicas on the same processors.

    `people` are those of each replica. What is answered after the `lead` counts, for so many seconds. `others` is how
    many processors other programs use, from one look to the next.
    """
    env = simpy.Environment()
    shared = Processors(env, processors, others)
    proxy, asking = _OneByOne(env, shared), _Asking(env, costs, _OneByOne(env, shared))

    def person(replica: _Replica, answers: Sequence[int]) -> _Steps:
        for num_tokens in cycle(answers):
            yield from asking.question(replica, num_tokens, is_new=False)

    for some in people:
        replica = _Replica(env, costs, shared, proxy)
        for answers in some:
            env.process(person(replica, answers))
    if lead:
        env.run(lead)
        asking.took.clear()
    env.run(lead + seconds)
    return _summary(asking.took, seconds)


def simulate_visitors(
    costs: Costs,
    *,
    replicas: int,
    processors: int,
    answers: Sequence[int],
    per_second: float,
    new_share: float,
    seconds: float,
) -> Simulated:
    """Simulate questions that come whenever they come, to replicas with so many processors and a proxy each.

    `answers` are numbers of tokens, any of which an answer may have.
    """
    env, chance = simpy.Environment(), random.Random(0)
    asking, machines = _Asking(env, costs, None), []
    for _ in range(replicas):
        own = Processors(env, processors)
        machines.append(_Replica(env, costs, own, _OneByOne(env, own)))

    def arrivals() -> _Steps:
        while True:
            yield env.timeout(chance.expovariate(per_second))
            is_new = chance.random() < new_share
            env.process(asking.question(chance.choice(machines), chance.choice(answers), is_new=is_new))

    env.process(arrivals())
    env.run(seconds)
    return _summary(asking.took, seconds)


def _summary(took: Sequence[float], seconds: float) -> Simulated:
    if len(took) < 2:
        return Simulated(60 * len(took) / seconds, _FOREVER, _FOREVER)
    return Simulated(60 * len(took) / seconds, median(took), quantiles(took, n=20)[-1])
