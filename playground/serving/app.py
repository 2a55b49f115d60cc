"""The Ray Serve application: replicas, how many of them, where their requests go, and what is counted.

`serve run` and `serve deploy` call `build` with the `args` of a YAML file; `cluster` does with those of a command line.
"""

import os
import threading
from dataclasses import astuple
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.metrics import Counter, Gauge, Histogram
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

from playground.serving.loopback import stay_on_loopback
from playground.serving.replica import AnsweredRequest, Replica
from playground.serving.wire import ReplicaCounts
from playground.settings import Settings

APP = "florence2"
# A picture's digest chooses the replica, which then has encoded it before; the next on the ring where that one is full.
_ROUTER = RequestRouterConfig(
    request_router_class="ray.serve.experimental.consistent_hash_router.ConsistentHashRouter",
    request_router_kwargs={"num_fallback_replicas": 3},
)
_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class ServingOptions(BaseModel):
    """What an application is made with: the `args` of a YAML file.

    With `max_replicas` there are as many as the open requests need, `target_ongoing` for each; without it `replicas`.
    """

    model_config = ConfigDict(extra="forbid")

    checkpoint: str = ""
    device: str = "auto"
    precision: str = "auto"
    offline: bool = False
    replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=0, le=1000)] = 0
    target_ongoing: Annotated[float, Field(gt=0)] = (
        8  # open requests for each replica: as many as are answered together
    )
    grow_seconds: Annotated[float, Field(gt=0)] = 30  # of so many requests, before there are more replicas
    shrink_seconds: Annotated[float, Field(gt=0)] = 600  # of fewer, before there are fewer
    cpus: Annotated[float, Field(gt=0)] = 1  # of each replica; its threads
    gpus: Annotated[float, Field(ge=0)] = 0  # of each replica; a half lets two share one
    max_ongoing: Annotated[int, Field(ge=1)] = 32  # requests that are open at one replica at the same time
    max_queued: Annotated[int, Field(ge=1)] = 256  # that wait before the replicas; one more is refused
    run_seconds: Annotated[float, Field(gt=0)] = 300
    drain_seconds: Annotated[float, Field(ge=0)] = 60  # that a replica which is to end may take for its last answers

    @model_validator(mode="after")
    def _check_bounds(self) -> "ServingOptions":
        if self.max_replicas and self.max_replicas < self.replicas:
            raise ValueError(f"max_replicas must be at least replicas, {self.replicas}, but is {self.max_replicas}")
        return self


class Florence2:
    """A replica as Ray Serve knows it."""

    def __init__(self, options: dict[str, Any]) -> None:
        stay_on_loopback()
        names = ("checkpoint", "device", "precision", "offline", "run_seconds")
        settings = Settings(**{name: options[name] for name in names}, max_loaded_checkpoints=1)
        self._count = _Figures()
        self._replica = Replica(settings, count=self._count.take, count_refusal=self._count.refusals.inc)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        return await self._replica.answer(request)

    def check_health(self) -> None:
        """Raise where another replica is to take this one's place; Serve calls it each few seconds."""
        self._count.waiting.set(self._replica.num_waiting)
        self._replica.check()

    def __del__(self) -> None:
        """Give the engine back."""
        if hasattr(self, "_replica"):
            self._replica.close()


class _Figures:
    """What Prometheus is told of a replica, beside what Serve tells of its requests and queues."""

    def __init__(self) -> None:
        self._answers = Counter("florence2_answers", "Answers that were written.")
        self._tokens = Counter("florence2_tokens", "Tokens that were written.")
        self._pictures = Counter("florence2_pictures", "Pictures that were asked about, once for each request.")
        self._encodings = Counter(
            "florence2_picture_encodings", "Pictures that had to be encoded; the rest was cached."
        )
        self._turns = Counter("florence2_turns", "Turns of the model, in each of which some answers are written.")
        self._encode = Histogram("florence2_encode_seconds", "Encoding for a request.", list(_SECONDS))
        self._decode = Histogram("florence2_decode_seconds", "Decoding for a request, and its wait.", list(_SECONDS))
        self.refusals = Counter("florence2_refusals", "Requests that were refused, or failed, with a sentence.")
        self.waiting = Gauge("florence2_waiting", "Questions that wait at a replica.")
        self._told = ReplicaCounts()
        self._lock = threading.Lock()

    def take(self, answered: AnsweredRequest, so_far: ReplicaCounts) -> None:
        """Count what a request came to; `so_far` is what the replica has done."""
        with self._lock:  # requests end in threads of their own
            counts = (
                (self._answers, answered.num_answers), (self._tokens, answered.num_tokens),
                (self._pictures, answered.num_pictures), (self._turns, so_far.turns - self._told.turns),
                (self._encodings, so_far.encodings - self._told.encodings),
            )  # fmt: skip
            for counter, number in counts:
                if number > 0:
                    counter.inc(number)
            self._told = ReplicaCounts(*map(max, astuple(self._told), astuple(so_far)))
        self._encode.observe(answered.encode_seconds)
        self._decode.observe(answered.decode_seconds)


def build(options: ServingOptions) -> serve.Application:
    """Return the application."""
    threads = str(max(1, int(options.cpus)))
    scale: dict[str, Any] = {"num_replicas": options.replicas}
    if options.max_replicas:
        scale = {
            "autoscaling_config": {
                "min_replicas": options.replicas,
                "max_replicas": options.max_replicas,
                "target_ongoing_requests": options.target_ongoing,
                "upscale_delay_s": options.grow_seconds,
                "downscale_delay_s": options.shrink_seconds,
            }
        }
    deployment = serve.deployment(
        Florence2,
        name="Florence2",
        ray_actor_options={
            "num_cpus": options.cpus,
            "num_gpus": options.gpus,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE", **_passed_on()}},
        },
        max_ongoing_requests=options.max_ongoing,
        max_queued_requests=options.max_queued,
        graceful_shutdown_timeout_s=options.drain_seconds,
        health_check_period_s=5,
        max_constructor_retry_count=2,
        request_router_config=_ROUTER,
        logging_config=LoggingConfig(encoding="JSON", enable_access_log=True),
        **scale,
    )
    return deployment.bind(options.model_dump())


def _passed_on() -> dict[str, str]:
    """Return what the hub's client must know in a replica too."""
    names = ("HF_HOME", "HF_HUB_OFFLINE", "PYTHONPATH")
    return {name: os.environ[name] for name in names if name in os.environ}
