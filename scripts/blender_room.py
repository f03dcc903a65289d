# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Blender with a window, on a machine that has neither Blender nor a screen.

    python scripts/blender_room.py check                       say why not, if not
    python scripts/blender_room.py up                          make the room (minutes, once)
    python scripts/blender_room.py run gui --share DIR -- ...  Blender in a virtual window
    python scripts/blender_room.py run cli --share DIR -- ...  Blender without one
    python scripts/blender_room.py run exec -- COMMAND ...     any command inside the room

The room is a small Debian 13 (trixie) with its Blender 4.3.2 in ``.blender-room/trixie``, made by
debootstrap. It needs Linux and root, and touches nothing outside its folder: whatever has to be
mounted is mounted in a private mount namespace that ends with the process, however it ends. So
nothing stays mounted, and the folder can be deleted at any time. No network reaches into a run.

Inside a run the checkout is visible read-only under its own absolute path, and so is the Python
that the engine's environment was made from: the engine runs in the room exactly as it does outside.
``--share DIR`` is visible under its own path too, and writable.

A room that is ready elsewhere is used when MVSAM_BLENDER_ROOM names it. Debian's mirror is the one
that this machine's apt uses; MVSAM_DEBIAN_MIRROR names another.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from environments import LOGS, ROOT, SetupError, engine_environment, file_lock, interpreter, say
from private_mounts import Job, enter, mounts_below, why_not_private

SUITE = "trixie"
HOME = ROOT / ".blender-room"
STAMP = "mvsam-room.json"  # in the room's top folder: how far its making has come
PACKAGES = (
    "blender",
    "xvfb",
    "xauth",
    "xdotool",
    "imagemagick",
    # OpenGL in software
    *("libgl1-mesa-dri", "libegl1", "libegl-mesa0", "libgl1", "libglx-mesa0"),
    # Blender's own scripts import these; Debian's package only recommends them.
    *("python3-numpy", "python3-requests", "python3-zstandard", "python3-cattr", "python3-attr"),
)
SCREEN = "1680x1050"


class RoomError(Exception):
    """The room cannot be had or made; the message says why and what helps."""


# What other scripts and the tests call


def room_folder() -> Path:
    """The room in use: the one that MVSAM_BLENDER_ROOM names, or the checkout's own."""
    named = os.environ.get("MVSAM_BLENDER_ROOM")
    return Path(named).resolve() if named else HOME / SUITE


def is_ready(room: Path) -> bool:
    """Whether ``room`` is complete and holds what this version of the project asks for."""
    return _read_stamp(room) == {"suite": SUITE, "stage": "ready", "packages": list(PACKAGES)}


def why_unavailable() -> str | None:
    """Why this machine cannot run or make the room, as a sentence; None when it can."""
    reason = why_not_private()
    if reason or is_ready(room_folder()):
        return reason
    if "MVSAM_BLENDER_ROOM" in os.environ:
        return f"MVSAM_BLENDER_ROOM names {room_folder()}, which is not a ready room."
    if shutil.which("debootstrap") is None and shutil.which("apt-get") is None:
        return "The windowed Blender of the tests needs debootstrap, and there is no apt-get."
    return None


def up() -> Path:
    """Make the room, or finish one that was left half made; returns its folder.

    Raises:
        RoomError: with the reason, when it cannot be made here.
    """
    room = room_folder()
    reason = why_unavailable()
    if reason:
        raise RoomError(reason)
    if is_ready(room):
        return room
    HOME.mkdir(exist_ok=True)
    with file_lock(HOME / f"{SUITE}.lock"):
        if not is_ready(room):
            _make(room)
    return room


def start(
    kind: str,
    arguments: tuple[str, ...],
    share: Path | None = None,
    environment: dict[str, str] | None = None,
    **popen,
) -> subprocess.Popen:
    """Start a command in the room; killing the returned process ends everything it started.

    Args:
        kind: ``"gui"`` for Blender in a window, ``"cli"`` for Blender without, ``"exec"`` for any
            command.
        arguments: of Blender; or the whole command for ``"exec"``.
        share: a folder that is writable inside, under the same absolute path.
        environment: variables on top of the room's own.
        **popen: passed on to subprocess.Popen.
    """
    blender = ("blender",)
    if kind == "gui":
        width, height = SCREEN.split("x")
        screen = f"-screen 0 {SCREEN}x24 +extension GLX"
        blender = ("xvfb-run", "-a", "-s", screen, "blender", "--gpu-backend", "opengl")
        blender += ("--window-geometry", "0", "0", width, height)
    if share:
        share.mkdir(parents=True, exist_ok=True)
    job = Job(
        room=str(room_folder()),
        command=arguments if kind == "exec" else blender + arguments,
        readable=(str(ROOT), *engine_paths()),
        writable=(str(share.resolve()),) if share else (),
        environment=tuple((environment or {}).items()),
    )
    return enter(job, **popen)


def engine_paths() -> list[str]:
    """What the engine's interpreter needs of this machine: the installation behind ``.venv``."""
    python = interpreter(engine_environment().folder)
    if not python.exists():
        return []
    real = python.resolve()
    prefix = real.parent.parent
    if prefix != Path("/usr"):
        return [str(prefix)]
    # A system Python: not all of /usr, which is the room's own, but the one version. A room that
    # has the same version is another build of it, and is shadowed for the length of the run.
    return [str(real), f"/usr/lib/{real.name}"]


# Making the room


def _make(room: Path) -> None:
    started = time.monotonic()
    log = LOGS / f"room-{SUITE}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:

        def step(words: str, command: tuple[str, ...], *, inside: bool = True) -> None:
            say(f"  {words} ...")
            job = Job(str(room) if inside else "/", command, network=True)
            process = enter(job, stdout=output, stderr=subprocess.STDOUT)
            if process.wait():
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
                raise RoomError(f"The room could not be made: {words}. The log {log} ends:\n{tail}")

        say(f"Making the room {room} (a few minutes, 1.3 GB, once) ...")
        if shutil.which("debootstrap") is None:
            install = ("apt-get", "install", "-y", "-q", "--no-install-recommends", "debootstrap")
            subprocess.run(["apt-get", "update", "-q"], stdout=output, stderr=output, check=False)
            if subprocess.run(install, stdout=output, stderr=output, check=False).returncode:
                raise RoomError(f"debootstrap is missing and could not be installed; see {log}.")
        stage = _read_stamp(room).get("stage")
        if stage != "base":
            remove(room)
            downloads = HOME / "downloads"  # kept if this fails, so that the next try is quick
            downloads.mkdir(exist_ok=True)
            base = ("debootstrap", "--variant=minbase", f"--cache-dir={downloads}")
            place = (SUITE, str(room), debian_mirror())
            step(f"Debian {SUITE}'s base", base + place, inside=False)
            _configure(room)
            _write_stamp(room, {"stage": "base"})
            shutil.rmtree(downloads)
        step("left-over package set-up", ("dpkg", "--configure", "-a"))
        step("the list of packages", ("apt-get", "-q", "update"))
        install = ("apt-get", "install", "-y", "-q", "--no-install-recommends", "--fix-broken")
        step("Blender and a virtual screen", install + PACKAGES)
        step("cleaning up", ("apt-get", "clean"))
    _write_stamp(room, {"suite": SUITE, "stage": "ready", "packages": list(PACKAGES)})
    say(f"  the room is ready after {time.monotonic() - started:.0f} s")


def debian_mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    named = os.environ.get("MVSAM_DEBIAN_MIRROR")
    if named:
        return named
    fields = "$(LABEL) $(COMPONENT) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    for line in answer.stdout.splitlines():
        label, component, address = line.split(maxsplit=2)
        if (label, component) == ("Debian", "main"):
            return address
    raise RoomError(
        "This machine's apt knows no Debian mirror (run 'apt-get update' on Debian; elsewhere set "
        "MVSAM_DEBIAN_MIRROR)."
    )


def _configure(room: Path) -> None:
    """Give the room this machine's way to the network, and keep it small."""
    shutil.copyfile("/etc/resolv.conf", room / "etc/resolv.conf")
    answer = subprocess.run(
        ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
    )
    passed_on = ("::Proxy", "::Check-Valid-Until", "::Check-Date")
    lines = [line for line in answer.stdout.splitlines() if any(word in line for word in passed_on)]
    (room / "etc/apt/apt.conf.d/99host").write_text("\n".join([*lines, ""]), encoding="utf-8")
    left_out = ("doc", "man", "locale")
    rules = "".join(f"path-exclude=/usr/share/{name}/*\n" for name in left_out)
    (room / "etc/dpkg/dpkg.cfg.d/small").write_text(rules, encoding="utf-8")


def remove(room: Path) -> None:
    """Delete a room, unless something is mounted below it, which would be deleted too."""
    mounted = mounts_below(room)
    if mounted:
        raise RoomError(f"{mounted[0]} is mounted, so {room} is not deleted. Unmount it first.")
    if room.exists():
        shutil.rmtree(room)


def _read_stamp(room: Path) -> dict:
    try:
        return json.loads((room / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _write_stamp(room: Path, content: dict) -> None:
    (room / STAMP).write_text(json.dumps(content), encoding="utf-8")


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Cut at the first ``--``: what is for this program, what for the one in the room."""
    if "--" not in arguments:
        return arguments, []
    place = arguments.index("--")
    return arguments[:place], arguments[place + 1 :]


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("check", help="say why the room cannot be had here, if so")
    verbs.add_parser("up", help="make the room, or finish it")
    run = verbs.add_parser("run", help="run Blender, or any command, in the room")
    run.add_argument("kind", choices=("gui", "cli", "exec"))
    run.add_argument("--share", type=Path, help="folder that is writable inside, at the same path")
    run.epilog = "What follows -- goes to Blender, or is the command for exec."
    own, passed_on = split_arguments(sys.argv[1:])
    arguments = parser.parse_args(own)
    try:
        if arguments.verb == "check":
            reason = why_unavailable()
            print(reason or f"The room {room_folder()} can be used or made here.")
            return 1 if reason else 0
        room = up()
        if arguments.verb == "up":
            print(room)
            return 0
        return start(arguments.kind, tuple(passed_on), arguments.share).wait()
    except (RoomError, SetupError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
