"""How much of the system's memory threads keep for themselves."""

import platform
import subprocess
import sys

import pytest

THREADS = """
import ctypes, sys, tempfile, threading
from playground.inference import memory
if sys.argv[1] == "shared":
    memory.share_arena()
together = threading.Barrier(12)
def work():
    together.wait()
    kept.append([bytes(5000) for _ in range(20)])
    together.wait()
kept = []
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as file:
    stream = ctypes.c_void_p(libc.fopen(file.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(file.read().count(b"<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has an arena for each thread")
def test_threads_share_one_arena() -> None:
    alone, shared = (
        int(subprocess.run([sys.executable, "-c", THREADS, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("alone", "shared")
    )
    assert shared == 1
    assert alone > 1
