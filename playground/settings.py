"""The settings of one running playground. The only reader of the environment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address

from playground.errors import SettingsInvalid

PREFIX = "PLAYGROUND_"
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")  # int8: bfloat16, and 8-bit weights for the text
WITH = " + "  # between the name of a checkpoint and that of an adapter of it
# Variables of Gradio's that people know, and the settings that they stand for where ours say nothing.
_GRADIOS = {"GRADIO_SERVER_NAME": "host", "GRADIO_SERVER_PORT": "port", "GRADIO_TEMP_DIR": "cache_folder"}
_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every value can be set as an environment variable: `max_megapixels` as `PLAYGROUND_MAX_MEGAPIXELS`."""

    checkpoint: str = ""  # catalog name, hub id or folder; empty: chosen at the start
    adapter: str = ""  # folder or hub id of an adapter of the checkpoint; of several, with commas, the first answers
    device: str = "auto"  # "auto", "cpu", "cuda", "cuda:1", "mps"
    precision: str = "auto"  # one of PRECISIONS
    masks: str = ""  # what makes sharper outlines: a name of the catalog of masks, hub id, folder, or "off"
    host: str = ""  # empty: this machine only
    port: int = 0  # 0: 7860 or the next free one
    offline: bool = False  # contact nobody
    hub_search: bool = True  # let the page find checkpoints on the hub, where only this machine can open the page
    welcome: bool = True  # a first visit begins with an example that is asked and answered
    mcp: bool = False
    on_zero_gpu: bool = False  # set by Hugging Face Spaces, as SPACES_ZERO_GPU

    max_megapixels: int = 40  # that are kept of a picture: a larger one is scaled down while it is read
    max_megabytes: int = 64  # of a file
    max_loaded_checkpoints: int = 2
    image_cache_megabytes: int = 128
    prompt_cache_megabytes: int = 128
    queue_size: int = 32
    places_per_visitor: int = 2  # of those in the queue
    trusted_proxies: str = ""  # addresses and networks of proxies that are believed, or * where nothing else gets in
    forwarded_header: str = "X-Forwarded-For"  # in which they name the visitor
    allowed_hosts: str = ""  # names under which this server is asked for, besides its own; *.example.org, or *
    space_host: str = ""  # set by Hugging Face Spaces, as SPACE_HOST
    frame_ancestors: str = "https://huggingface.co https://*.hf.space"  # sites that may show the page in a frame
    hub_answer_seconds: float = 4.0  # how long the start waits for the hub before it takes the bundled checkpoint
    download_stall_seconds: float = 60.0  # a download without a new byte for so long has failed
    load_wait_seconds: float = 120.0  # how long a run waits for its checkpoint
    run_seconds: float = 300.0  # the most that an answer may take; then it ends with what is there
    keep_files_seconds: int = 3600  # how long uploads and saved files stay on the server's disk
    cache_folder: str = ""  # where they lie, in a folder of each program's own; empty: the system's temporary files
    disk_megabytes: int = 4096  # for all of them
    disk_files: int = 20_000
    visitor_disk_share: float = 0.25  # of both, that one visitor may take
    job_pictures: int = 10_000  # that one job may ask about
    job_megabytes: int = 800  # of its files
    jobs_per_visitor: int = 2  # at work at the same time
    kept_jobs_per_visitor: int = 8  # at work or not; another one is refused then
    keep_jobs_seconds: int = 86_400  # how long a job or a teaching that is not at work stays after a look at it
    teach: bool = True  # let the page teach a checkpoint; no by default on a Space
    teach_minutes: float = 30.0  # that one teaching may take
    teach_pictures: int = 500  # that it may have
    adapters_folder: str = "adapters"  # where those are kept that were taught on the page
    measure_pictures: int = 200  # that one measurement of the page may ask about; 0: none is made there
    engines: str = ""  # "auto" or "ray://HOST:PORT": a cluster that answers; empty: this program itself
    replicas: int = 0  # of the cluster that "auto" starts; 0: as many as fit this machine
    answers_at_once: int = 0  # questions that are put at the same time; 0: one, or 32 to a cluster

    @property
    def named_checkpoints(self) -> tuple[str, ...]:
        """The checkpoints that are asked for by name, of which the first answers: with adapters, one for each."""
        adapters = [adapter.strip() for adapter in self.adapter.split(",") if adapter.strip()]
        if not adapters:
            return (self.checkpoint,) if self.checkpoint else ()
        return tuple(f"{self.checkpoint}{WITH}{adapter}" for adapter in adapters)

    @property
    def first_checkpoint(self) -> str:
        """The name of the checkpoint that answers; empty: chosen at the start."""
        return next(iter(self.named_checkpoints), "")

    @property
    def is_for_one_user(self) -> bool:
        """Whether only this machine's own programs connect: a proxy beside the server makes it public."""
        return is_this_machine(self.host) and not (self.trusted_proxies or self.space_host or self.on_zero_gpu)

    @property
    def hours_kept(self) -> str:
        """How long a job or a teaching stays that nobody looks at, in words."""
        hours = self.keep_jobs_seconds / 3600
        return f"{hours:.3g} {'hour' if hours == 1 else 'hours'}"

    @property
    def num_answers_at_once(self) -> int:
        """How many questions are put at the same time."""
        return self.answers_at_once or (32 if self.engines else 1)

    @property
    def may_teach(self) -> bool:
        """Whether there is a page that teaches: not where somebody else answers, or has a GPU for seconds only."""
        return self.teach and not self.engines and not self.on_zero_gpu

    @property
    def may_search_hub(self) -> bool:
        """Whether the page may look for checkpoints on the hub, and load what it finds there."""
        return self.hub_search and not self.offline and self.is_for_one_user and not self.engines

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from environment variables. Raises SettingsInvalid, naming the variable."""
        values: dict[str, str | int | float | bool] = {}
        names = {PREFIX + setting.name.upper(): setting.name for setting in fields(cls)}
        defaults = {setting.name: setting.default for setting in fields(cls)}
        for variable, name in (_GRADIOS | names).items():
            if variable in environ:
                values[name] = _convert(environ[variable], type(defaults[name]), variable)
        if _flag(environ.get("HF_HUB_OFFLINE", "")):
            values["offline"] = True
        if _flag(environ.get("SPACES_ZERO_GPU", "")):
            values["on_zero_gpu"] = True
        if space_host := environ.get("SPACE_HOST", ""):
            values = {"trusted_proxies": "*", "teach": False, **values, "space_host": space_host}
        return cls(**values)  # type: ignore[arg-type]  # the types are those of the defaults


def is_this_machine(host: str) -> bool:
    """Whether a name or an address means the machine itself, as no name does of where to listen.

    Between a machine's own programs a page is secure without TLS.
    """
    name = host.strip().strip("[]").lower() or "127.0.0.1"
    try:
        return ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _flag(text: str) -> bool:
    return text.strip().lower() in _YES


def _convert(text: str, kind: type, name: str) -> str | int | float | bool:
    if kind is bool and text.strip().lower() not in ("", *_YES, *_NO):
        raise _invalid(name, f"must be one of {', '.join(_YES + _NO)}", text)
    if kind is bool:
        return _flag(text)
    try:
        value: str | int | float = kind(text)
    except ValueError:
        raise _invalid(name, "must be a number", text) from None
    if isinstance(value, float) and math.isnan(value):
        raise _invalid(name, "must be a number", text)
    if isinstance(value, int | float) and value < 0:
        raise _invalid(name, "must not be negative", text)
    return value


def _invalid(name: str, rule: str, text: str) -> SettingsInvalid:
    return SettingsInvalid(f"{name} {rule}, but got {text!r}. Change it or unset it.")
