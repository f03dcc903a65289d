# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command in a folder that holds a whole system, with mounts that nobody else sees.

Everything is mounted inside private namespaces, which end with the command, however it ends: so
nothing stays mounted, the machine's own /dev is never shown inside, and the folder can be deleted
at any time. `blender_room` uses this; Linux and root only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True, slots=True)
class Job:
    """One command to be run inside the room.

    Attributes:
        room: the top folder of the system to run in; ``"/"`` for the machine's own.
        command: the command and its arguments, paths as seen inside.
        readable: files and folders shown read-only inside, under their own absolute paths.
        writable: likewise, but writable; these win over ``readable``.
        environment: variables on top of the room's own.
        network: whether the command may use the network.
    """

    room: str
    command: tuple[str, ...]
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    network: bool = False


def why_not_private() -> str | None:
    """Why nothing can be mounted privately here, as a sentence; None when it can."""
    if sys.platform != "linux":
        return "The windowed Blender of the tests is made for Linux only."
    if os.geteuid() != 0:
        return "The windowed Blender of the tests lives in a chroot, which needs root."
    missing = [name for name in ("unshare", "setpriv", "mount") if shutil.which(name) is None]
    if missing:
        return f"The windowed Blender of the tests needs {', '.join(missing)} (util-linux)."
    trial = subprocess.run(
        [*namespace_prefix(network=False), "true"], capture_output=True, check=False
    )
    if trial.returncode:
        reason = trial.stderr.decode(errors="replace").strip()
        return f"This machine does not allow private mount namespaces ({reason})."
    return None


def mounts_below(folder: Path) -> list[str]:
    """What is mounted at or below ``folder``, as this process sees it."""
    inside = str(folder.resolve())
    points = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        # A space is written \040.
        point = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
        if point == inside or point.startswith(inside + "/"):
            points.append(point)
    return points


def namespace_prefix(*, network: bool) -> list[str]:
    """The command prefix that opens the private namespaces.

    The inner process dies with ``unshare``, and ``unshare`` with whoever started it; the mounts go
    with the last of them.
    """
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
    command += ["--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
    return command if network else [*command, "--net"]


def enter(job: Job, **popen) -> subprocess.Popen:
    """Start the job; killing the returned process ends everything that it started."""
    inner = [sys.executable, str(Path(__file__).resolve())]
    command = [*namespace_prefix(network=job.network), *inner, json.dumps(asdict(job))]
    return subprocess.Popen(command, **popen)


def _inside(job: Job) -> int:
    """Run the job; this process is the first one in its own namespaces."""
    if job.room == "/":
        return subprocess.run(job.command, check=False).returncode
    room = Path(job.room)
    _mount_system(room)
    for path in job.readable:
        _show(room, path, writable=False)
    for path in job.writable:
        _show(room, path, writable=True)
    os.chroot(room)
    os.chdir("/")
    environment = {
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LIBGL_ALWAYS_SOFTWARE": "1",
        "GALLIUM_DRIVER": "llvmpipe",
        **dict(job.environment),
    }
    return subprocess.run(job.command, env=environment, check=False).returncode


def _mount_system(room: Path) -> None:
    """The least of a system that programs expect; the machine's own /dev is never shown."""
    _mount("-t", "proc", "proc", room / "proc")
    for name in ("dev", "tmp", "run"):
        _mount("-t", "tmpfs", "-o", "mode=1777" if name == "tmp" else "mode=755", name, room / name)
    for name in DEVICES:
        (room / "dev" / name).touch()
        _mount("--bind", f"/dev/{name}", room / "dev" / name)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (room / "dev" / name).symlink_to(f"/proc/self/fd{target}")
    (room / "dev/shm").mkdir()
    _mount("-t", "tmpfs", "-o", "mode=1777", "shm", room / "dev/shm")
    (room / "tmp/.X11-unix").mkdir(mode=0o1777)


def _show(room: Path, path: str, *, writable: bool) -> None:
    """Make ``path`` of the machine visible in the room at the same place."""
    place = room / path.lstrip("/")
    if Path(path).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    _mount("--bind", path, place)
    if not writable:
        _mount("-o", "remount,bind,ro", place)


def _mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


def main() -> int:
    """The inner process: its one argument is the job; returns the command's exit code."""
    fields = json.loads(sys.argv[1])
    return _inside(Job(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}))


if __name__ == "__main__":
    sys.exit(main())
