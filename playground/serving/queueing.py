"""A cluster as a queueing model, event by event: who asks, on which processors the work is done, and who waits.

All work is in seconds of processor time, and processors are shared: each thread has one, or its share where there are
more threads. The program that asks and the proxy do one thing after another, as Python does. A replica answers some of
those who wait together; the longest answer takes as long as all do. Knows no cluster and no checkpoint.
"""

import heapq
import random
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import count, cycle
from statistics import median, quantiles
from typing import Any

import simpy

_FOREVER = float("inf")
_Steps = Generator[simpy.Event, Any, None]
People = Sequence[Sequence[int]]  # of each, how many tokens the answers have that he asks for again and again


@dataclass(frozen=True, slots=True)
class Costs:
    """What an answer takes, in seconds of processor time but for `wait`, in which nobody works.

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


class Processors:
    """So many processors, shared by all who work at the same time."""

    def __init__(self, env: simpy.Environment, number: float) -> None:
        self._env = env
        self._number = number
        self._threads = 0.0  # that want one
        self._progress = 0.0  # seconds that a thread which began at 0 has run
        self._since = 0.0
        self._open: list[tuple[float, int, float, simpy.Event]] = []
        self._order, self._version = count(), 0

    def work(self, seconds: float, threads: float = 1.0) -> simpy.Event:
        """Return the event of the end of some work, in equal parts on so many threads."""
        done = self._env.event()
        self._go_on()
        heapq.heappush(self._open, (self._progress + seconds / threads, next(self._order), threads, done))
        self._threads += threads
        self._look_again()
        return done

    @property
    def _rate(self) -> float:
        return min(1.0, self._number / self._threads) if self._threads else 1.0

    def _go_on(self) -> None:
        self._progress += (self._env.now - self._since) * self._rate
        self._since = self._env.now

    def _look_again(self) -> None:
        self._version += 1
        if self._open:
            wait = self._env.timeout(max(0.0, self._open[0][0] - self._progress) / self._rate, self._version)
            wait.callbacks.append(self._end)

    def _end(self, looked: simpy.Event) -> None:
        if looked.value != self._version:  # somebody has begun or ended since
            return
        self._go_on()
        _, _, threads, done = heapq.heappop(self._open)
        self._threads = self._threads - threads if self._open else 0.0
        done.succeed()
        self._look_again()


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
        self.took: list[float] = []

    def question(self, replica: _Replica, num_tokens: int, *, is_new: bool) -> _Steps:
        costs, started = self._costs, self.env.now
        yield from self._asks(costs.client / 2)
        yield from replica.proxy.work(costs.proxy / 2)
        yield replica.ask(num_tokens, is_new=is_new)
        replica.processors.work(costs.rest)  # for which nobody waits
        yield from replica.proxy.work(costs.proxy / 2)
        yield from self._asks(costs.client / 2)
        yield self.env.timeout(costs.wait)
        self.took.append(self.env.now - started)

    def _asks(self, seconds: float) -> _Steps:
        if self._client:
            yield from self._client.work(seconds)
        else:
            yield self.env.timeout(seconds)


def simulate_people(
    costs: Costs, *, people: Sequence[People], processors: float, lead: float, seconds: float
) -> Simulated:
    """Simulate people who ask again as soon as they are answered, all with the replicas on the same processors.

    `people` are those of each replica. What is answered after the `lead` counts, for so many seconds.
    """
    env = simpy.Environment()
    shared = Processors(env, processors)
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
    processors: float,
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
