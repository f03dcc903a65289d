# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a capture: names that are safe, writes that are whole, changes that are atomic.

A `Transaction` stages any number of files beside the capture's own and then moves them into place
under a journal: a process that dies before the journal is written changed nothing, one that dies
after it is finished by the next writer (`recover`). So a capture is always at a complete state.
"""

from __future__ import annotations

import errno
import io
import json
import os
import platform
import shutil
import sys
import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import CaptureError

STAGING = ".staging"
JOURNAL = "commit.json"
LOCK = ".lock"

# Names that Windows keeps for devices; a capture must open there too.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
_FORBIDDEN = set('<>:"/\\|?*')


def is_safe_name(name: str) -> bool:
    """Whether `name` can be one file or folder name on every system."""
    return (
        0 < len(name.encode("utf-8", "surrogatepass")) <= 200
        and name == name.strip()
        and not name.startswith(".")
        and not name.endswith(".")
        and name.split(".", maxsplit=1)[0].lower() not in _RESERVED
        and not any(c in _FORBIDDEN or ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in name)
    )


def safe_name(name: str, fallback: str = "unnamed") -> str:
    """`name` with everything that is not safe as a file name replaced by ``_``."""
    cleaned = "".join("_" if c in _FORBIDDEN or ord(c) < 32 else c for c in name)
    cleaned = cleaned.encode("utf-8", "replace")[:120].decode("utf-8", "ignore").strip(" .")
    if cleaned.split(".")[0].lower() in _RESERVED:
        cleaned = f"_{cleaned}"
    return cleaned if is_safe_name(cleaned) else fallback


def inside(root: Path, relative: str) -> Path:
    """The path of `relative` under `root`, checked to stay there.

    Raises:
        CaptureError: absolute, with ``..`` or an unsafe part, or led outside by a link.
    """
    parts = PurePosixPath(relative).parts
    safe = bool(parts) and all(is_safe_name(part) for part in parts)
    path = root.joinpath(*parts) if safe else root
    if not safe or not path.resolve().is_relative_to(root.resolve()):
        raise CaptureError(
            "capture.path",
            f"The capture refers to {relative!r}, which does not stay inside its folder.",
            "Do not open captures from people you do not trust.",
        )
    return path


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` so that a reader sees the old file or the new one, never half of it.

    Raises:
        CaptureError: no space, no permission, or another failure of the disk.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> CaptureError:
    """A sentence for a failed write."""
    if error.errno == errno.ENOSPC:
        return CaptureError(
            "disk.full",
            f"There is no space left to write {path.name}.",
            "Free some space and run it again; nothing that was complete has been changed.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CaptureError(
            "disk.readonly",
            f"The folder {path.parent} cannot be written to.",
            "Choose another folder, or change its permissions.",
        )
    return CaptureError("disk.failed", f"Writing {path.name} failed: {error.strerror or error}.")


def array_bytes(array: NDArray[Any]) -> bytes:
    """An array as the bytes of a ``.npy`` file, never pickled."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def json_bytes(data: object) -> bytes:
    """JSON as people can read it in an editor."""
    return (json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def read_array(path: Path, dtype: type[np.generic], shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Read a ``.npy`` file of a known kind.

    Args:
        path: the file.
        dtype: expected element type.
        shape: expected shape, None where any length will do.

    Raises:
        CaptureError: missing, damaged, or of another type or shape.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CaptureError(
            "capture.array",
            f"{path.parent.name}/{path.name} is missing or damaged.",
            "Run the step that makes it again.",
        ) from error
    fits = len(array.shape) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        raise CaptureError(
            "capture.array",
            f"{path.parent.name}/{path.name} should be {np.dtype(dtype)} of shape {shape}, "
            f"is {array.dtype} of shape {array.shape}.",
            "Run the step that makes it again.",
        )
    return array


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        CaptureError: missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CaptureError("capture.missing", f"{path} does not exist.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CaptureError(
            "capture.json", f"{path.name} in {path.parent} is damaged.", "Restore it from a backup."
        ) from error


class Transaction:
    """Staged changes to the files under `root`; all or none of them become visible.

    Use as a context manager: leaving it normally commits, an exception discards.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._staging = root / STAGING / uuid.uuid4().hex
        self._moves: list[str] = []
        self._deletes: list[str] = []

    def write(self, relative: str, data: bytes) -> None:
        """Stage a file at `relative`."""
        inside(self._root, relative)
        write_atomic(self._staging.joinpath(*PurePosixPath(relative).parts), data)
        if relative not in self._moves:
            self._moves.append(relative)

    def delete(self, relative: str) -> None:
        """Stage the removal of a file or a folder; done before the staged files move in."""
        inside(self._root, relative)
        self._deletes.append(relative)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if kind is None and (self._moves or self._deletes):
            journal = {"moves": self._moves, "deletes": self._deletes}
            try:
                write_atomic(self._staging / JOURNAL, json_bytes(journal))
                _roll_forward(self._root, self._staging)
            except OSError as error:
                raise disk_error(self._root / STAGING, error) from error
        else:
            shutil.rmtree(self._staging, ignore_errors=True)
        return False


def _roll_forward(root: Path, staging: Path) -> None:
    """Do what a journal says; may be repeated after a crash at any point."""
    journal = json.loads((staging / JOURNAL).read_text(encoding="utf-8"))
    for relative in journal["deletes"]:
        path = inside(root, relative)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    # From here on a repeat must not delete again what has already moved in.
    write_atomic(staging / JOURNAL, json_bytes({"moves": journal["moves"], "deletes": []}))
    for relative in journal["moves"]:
        staged = staging.joinpath(*PurePosixPath(relative).parts)
        if staged.exists():
            target = inside(root, relative)
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.replace(target)
    shutil.rmtree(staging, ignore_errors=True)


def recover(root: Path) -> None:
    """Finish journalled transactions of a process that died, discard the others.

    Only the holder of the `writer_lock` may call this.
    """
    staging_root = root / STAGING
    if not staging_root.is_dir():
        return
    for staging in staging_root.iterdir():
        if (staging / JOURNAL).exists():
            _roll_forward(root, staging)
        else:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def writer_lock(root: Path) -> Generator[None]:
    """Hold the capture for writing; the system releases it even when the process is killed.

    The holder writes who it is into the file, so that others can be told whom they wait for.

    Raises:
        CaptureError: another process holds it, or the folder cannot be written to.
    """
    path = root / LOCK
    try:
        file = path.open("a+b")
    except OSError as error:
        raise disk_error(path, error) from error
    with file:
        try:
            _lock(file)
        except OSError as error:
            raise CaptureError(
                "capture.busy",
                f"{_holder(file)} is working on the capture {root.name!r}.",
                "Wait until it has finished, or cancel it there.",
            ) from error
        _sign(file)
        yield


def _sign(file: BinaryIO) -> None:
    """Write into a lock file who holds it."""
    name = Path(sys.argv[0] or sys.executable).stem
    program = " ".join(["mvsam", *sys.argv[1:2]]) if name in ("__main__", "mvsam") else name
    holder = {
        "program": program,
        "pid": os.getpid(),
        "host": platform.node(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    try:
        file.truncate(0)
        file.write(json.dumps(holder).encode())
        file.flush()
    except OSError:
        return  # a full disk: the lock holds all the same, only its signature is missing


def _holder(file: BinaryIO) -> str:
    """Who holds a lock, as the subject of a sentence."""
    try:
        file.seek(0)
        holder = json.loads(file.read(1000))
        where = "" if holder["host"] == platform.node() else f" on {holder['host']}"
        text = f"{holder['program']} (process {holder['pid']}{where}, since {holder['since']})"
        return text if text.isprintable() else "Another program"
    except (OSError, ValueError, KeyError, TypeError):
        return "Another program"


def _lock(file: BinaryIO) -> None:
    if os.name == "nt":  # pragma: no cover
        import msvcrt

        # Beyond the signature: Windows lets nobody read a byte that is locked.
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


_LOCKED_BYTE = 1 << 20
