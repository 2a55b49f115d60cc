"""Turn one pickle of weights into safetensors, in a process that can do nothing else: `unpickle.py FILE OUT MEGABYTES`.

`convert` starts it, by its path and isolated, with an empty environment. Torch reads nothing but tensors of a pickle
(`weights_only`); should there be a way round that, this process has no network, starts no program, writes no file but
the one, and has a limit of memory. Imports nothing of the playground. Its exit codes are `convert`'s to explain.
"""

import contextlib
import pickle
import sys
from typing import Any

NOT_TENSORS, NO_MEMORY = 3, 4  # exit codes

# Python tells a hook of these before it does them; reading, listing folders and imports are what torch itself needs.
_REFUSED = (
    "socket.", "subprocess.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "shutil.", "ctypes.", "signal.",
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "os.putenv",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate",
)  # fmt: skip


def _confine(megabytes: int) -> None:
    """Give up, for good, what is not needed to read one file and write one."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # there are no such limits on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(AttributeError, OSError):
        import ctypes

        # A network of its own with nobody in it, where the kernel lets everybody have one: CLONE_NEWUSER, CLONE_NEWNET.
        ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event.startswith(_REFUSED):
        raise PermissionError(f"{event} is not allowed here")


def _state_of(content: Any) -> dict[str, Any]:
    """Return the tensors by name, each storage once; `lm_head` and the table of embeddings are mostly one."""
    import torch

    content = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise pickle.UnpicklingError("it holds other things than tensors")
    # In this order the table itself comes before its other names.
    names = sorted(content, key=lambda name: ("shared" not in name, name))
    tensors: dict[tuple[int, ...], tuple[str, Any]] = {}
    for name in names:
        tensor = content[name]
        tensors.setdefault((tensor.data_ptr(), tensor.storage_offset(), *tensor.shape), (name, tensor))
    return {name: tensor.contiguous() for name, tensor in tensors.values()}


def main(source: str, target: str, megabytes: str) -> int:
    import torch
    from safetensors.torch import save_file

    _confine(int(megabytes))
    try:
        state = _state_of(torch.load(source, map_location="cpu", weights_only=True, mmap=True))
        save_file(state, target, metadata={"format": "pt"})
    except MemoryError:
        return NO_MEMORY
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return NO_MEMORY if "allocate" in str(error) or "mmap" in str(error) else NOT_TENSORS
    except (pickle.UnpicklingError, PermissionError, OSError) as error:
        print(error, file=sys.stderr)
        return NOT_TENSORS
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
