# SPDX-License-Identifier: GPL-3.0-or-later
"""Running out of memory, told as an error with a remedy; and how much memory there is.

Light to import: whether an exception is torch's is seen by its name, torch is not imported for it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mvsam_engine.errors import MvsamError

OUT = "memory.out"
OUT_ON_GPU = "memory.gpu"

# What libraries say that have no exception of their own for it (torch on a CPU, ONNX Runtime,
# OpenCV, the C++ standard library through a binding).
_SAID = (
    "can't allocate memory",
    "failed to allocate memory",
    "insufficient memory",
    "not enough memory",
    "out of memory",
    "std::bad_alloc",
)
_GPU_WORDS = ("cuda", "mps backend")

# Linux and macOS: what ends a process that took the last memory.
KILLED = -9


class MemoryShortError(MvsamError):
    """There is too little memory for what was asked; the code is `OUT` or `OUT_ON_GPU`."""


def kind_of(error: BaseException) -> str | None:
    """`OUT` or `OUT_ON_GPU` for an exception that means "no memory left", None for any other."""
    text = str(error).lower()
    names = {cls.__name__ for cls in type(error).__mro__}
    if not (
        isinstance(error, MemoryError)
        or "OutOfMemoryError" in names
        or any(said in text for said in _SAID)
    ):
        return None
    return OUT_ON_GPU if any(word in text for word in _GPU_WORDS) else OUT


@contextmanager
def told_when_short(what: str, remedy: str, gpu_remedy: str = "") -> Generator[None]:
    """Turn "no memory left" into a `MemoryShortError`; every other exception passes.

    Args:
        what: what was being done, as it can follow "too little for".
        remedy: what to do.
        gpu_remedy: what to do when it is the GPU's memory; "" for `remedy`.

    Raises:
        MemoryShortError: the memory of this machine or of its GPU did not suffice.
    """
    try:
        yield
    except MemoryShortError as error:
        # A child process was short; what to do about it is only known here.
        raise MemoryShortError(error.code, error.message, error.remedy or remedy) from error
    except MvsamError:
        raise
    except Exception as error:
        kind = kind_of(error)
        if kind is None:
            raise
        whose = "The memory of the GPU" if kind == OUT_ON_GPU else "The memory"
        chosen = gpu_remedy if kind == OUT_ON_GPU and gpu_remedy else remedy
        raise MemoryShortError(kind, f"{whose} is too little for {what}.", chosen) from error


def release() -> None:
    """Give memory back that is only kept for speed."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def child_short(code: int | None, log: str) -> bool:
    """Whether a child process ended for lack of memory, as far as its end and its log tell."""
    last = log[-2000:].lower()
    return code == KILLED or "memoryerror" in last or any(said in last for said in _SAID)


def limit_mb() -> tuple[float, float] | None:
    """What a container may use at most and what it uses, in MB; None where there is no limit."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = int((_CGROUPS / limit).read_text(encoding="ascii"))
            now = int((_CGROUPS / used).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # no such file, or "max": no limit
        return most / 2**20, now / 2**20
    return None


_CGROUPS = Path("/sys/fs/cgroup")
