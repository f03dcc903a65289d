# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and reuses the Python environments that the scripts and tests of this project run in.

    python scripts/environments.py                 make what is missing, print each interpreter
    python scripts/environments.py engine bpy-4.5  only these
    python scripts/environments.py --list          say what there is, make nothing

``.venv`` holds the engine (this checkout, editable, with what its tests need). ``.venvs/bpy-X.Y``
holds Blender X.Y as a Python module for the add-on's tests. Each environment carries a stamp with a
hash of what was asked for: when it fits, nothing is done. Only the standard library is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / ".cache" / "environments"

STAMP = ".mvsam-stamp.json"  # written last: the environment is complete
UNFINISHED = ".mvsam-unfinished"  # there while pip works: an interrupted install is made anew

TEST_TOOLS = ("pytest>=8", "hypothesis>=6.100", "pillow>=10.3")


class SetupError(Exception):
    """An environment could not be made; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why an environment cannot be had on this machine, as a sentence for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What an environment is made of.

    Attributes:
        name: what people call it on the command line.
        folder: where it lies.
        pythons: versions that will do, most wanted first, as ``"3.11"``.
        requirements: arguments for pip install, in one command.
        fingerprint: further text whose change makes the environment out of date.
        cost: roughly how long it takes and how large it is, for people.
        alone: requirements installed afterwards without what they ask for themselves.
    """

    name: str
    folder: Path
    pythons: tuple[str, ...]
    requirements: tuple[str, ...]
    fingerprint: str
    cost: str
    alone: tuple[str, ...] = ()


def bpy_environment(version: str) -> Environment:
    """The environment with Blender ``version`` as a module; raises KeyError for an unknown one."""
    # Each bpy is built for one Python only. numpy is the series that this Blender was built with.
    python, packages = {
        "4.2": ("3.11", ("bpy==4.2.23", "numpy==1.26.4")),
        "4.5": ("3.11", ("bpy==4.5.15", "numpy==1.26.4")),
        "5.2": ("3.13", ("bpy==5.2.3",)),
    }[version]
    return Environment(
        name=f"bpy-{version}",
        folder=ROOT / ".venvs" / f"bpy-{version}",
        pythons=(python,),
        requirements=packages + TEST_TOOLS,
        fingerprint="",
        cost="about 30 s, 1 GB",
    )


BPY_VERSIONS = ("4.2", "4.5", "5.2")


def engine_environment() -> Environment:
    """The environment with this checkout's engine, editable, and its test tools."""
    requirements = ["-e", f"{ROOT}[test]"]
    if not has_nvidia_gpu():
        # The pin has a CPU build on every index; without it pip may bring gigabytes of CUDA.
        requirements += ["-c", str(ROOT / "scripts" / "constraints-cpu.txt")]
    return Environment(
        name="engine",
        folder=ROOT / ".venv",
        pythons=("3.11", "3.12", "3.13"),
        requirements=tuple(requirements),
        fingerprint=_engine_fingerprint(),
        cost="1 to 3 minutes, 2 GB",
        # Only its weights are read; what it asks for (downloaders among them) is not needed.
        alone=tuple(_project()["optional-dependencies"]["learned"]),
    )


def _project() -> dict:
    """The table ``project`` of ``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _engine_fingerprint() -> str:
    """What of the checkout an editable install depends on: not the code, but its metadata."""
    project = _project()
    wanted = ("name", "requires-python", "dependencies", "optional-dependencies", "scripts")
    constraints = (ROOT / "scripts" / "constraints-cpu.txt").read_text(encoding="utf-8")
    return json.dumps([{key: project.get(key) for key in wanted}, constraints], sort_keys=True)


def all_environments() -> dict[str, Environment]:
    """Every environment of the project by name."""
    environments = [engine_environment(), *(bpy_environment(version) for version in BPY_VERSIONS)]
    return {environment.name: environment for environment in environments}


# What the other scripts call


def engine_python() -> Path:
    """The engine's interpreter, its environment made or brought up to date first.

    Raises:
        SetupError: no matching Python, or pip failed.
    """
    result = ensure(engine_environment())
    if isinstance(result, Unavailable):
        raise SetupError(result.reason)
    return result


def bpy_python(version: str) -> Path | Unavailable:
    """The interpreter that has Blender ``version`` as a module, made first where needed.

    Returns:
        The interpreter's path, or the reason why this machine cannot have it.

    Raises:
        SetupError: a matching Python is there, but the install failed.
    """
    return ensure(bpy_environment(version))


def ensure(environment: Environment) -> Path | Unavailable:
    """Make ``environment`` or bring it up to date; returns at once when nothing is to be done."""
    if is_current(environment):
        return interpreter(environment.folder)
    base = find_python(environment.pythons)
    if isinstance(base, Unavailable):
        return Unavailable(f"{environment.name}: {base.reason}")
    LOGS.mkdir(parents=True, exist_ok=True)
    with file_lock(LOGS / f"{environment.name}.lock"):
        # Another process may have made it while this one waited.
        if not is_current(environment):
            _install(environment, base)
    return interpreter(environment.folder)


def is_current(environment: Environment) -> bool:
    """Whether the environment is complete and made of what is asked for today."""
    if (environment.folder / UNFINISHED).exists() or not interpreter(environment.folder).exists():
        return False
    try:
        stamp = json.loads((environment.folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    # An environment cannot be moved: its scripts carry the absolute path of its interpreter.
    return stamp == {"wanted": _digest(environment), "folder": str(environment.folder)}


def _digest(environment: Environment) -> str:
    parts = [environment.requirements, environment.fingerprint]
    text = json.dumps([*parts, environment.alone] if environment.alone else parts)
    return hashlib.sha256(text.encode()).hexdigest()


def interpreter(folder: Path) -> Path:
    """The interpreter inside the environment at ``folder``."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def has_nvidia_gpu() -> bool:
    """Whether a working NVIDIA driver answers on this machine."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return False
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run(
            [command, "--list-gpus"], capture_output=True, text=True, timeout=30, check=False
        )
        return answer.returncode == 0 and "GPU" in answer.stdout
    return False


# Making one


def _install(environment: Environment, base: Path) -> None:
    folder = environment.folder
    unfinished = folder / UNFINISHED
    if unfinished.exists() or not _has_version(interpreter(folder), environment.pythons):
        if Path(sys.prefix).resolve() == folder.resolve():
            raise SetupError(
                f"{folder} must be made anew, but this program runs in it. Run "
                "'python3 scripts/environments.py' with a Python outside of it."
            )
        shutil.rmtree(folder, ignore_errors=True)
    existed = folder.exists()
    verb = "Updating" if existed else "Making"
    say(f"{verb} {folder.relative_to(ROOT)} with {base} ({environment.cost}) ...")
    started = time.monotonic()
    log = LOGS / f"{environment.name}.log"
    with log.open("w", encoding="utf-8") as output:
        if not existed:
            _run([str(base), "-m", "venv", str(folder)], output, environment, log)
        unfinished.touch()
        pip = [str(interpreter(folder)), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", *environment.requirements], output, environment, log)
        if environment.alone:
            _run([*pip, "install", "--no-deps", *environment.alone], output, environment, log)
    stamp = {"wanted": _digest(environment), "folder": str(folder)}
    (folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    unfinished.unlink()
    say(f"  {environment.name} ready after {time.monotonic() - started:.0f} s")


def _run(command: list[str], output, environment: Environment, log: Path) -> None:
    """Run one step with its output in the log; a failure quotes the log's last lines."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        command, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=ROOT, check=False
    )
    if done.returncode:
        output.flush()
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:])
        raise SetupError(f"{environment.name} could not be installed; the log {log} ends:\n{tail}")


def say(line: str) -> None:
    """One line of progress, on stderr so that stdout carries only paths."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold ``path`` for this process alone; the system lets go of it even if the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as handle:
        if os.name == "nt":
            import msvcrt

            while True:
                # LK_LOCK gives up after ten seconds; an install takes longer.
                with contextlib.suppress(OSError):
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Waiting for another process that holds {path.name} ...")
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# Finding a Python


def find_python(versions: tuple[str, ...]) -> Path | Unavailable:
    """An interpreter of one of ``versions`` that can make environments, most wanted first.

    Looks at the running interpreter, on PATH, in pyenv's versions and at Windows' ``py`` launcher.
    """
    without_venv: list[str] = []
    for version in versions:
        for candidate in _candidates(version):
            answer = _interrogate(candidate)
            if answer is None or answer["version"] != version:
                continue
            if answer["venv"]:
                # The real path: ``python3`` may mean another version tomorrow.
                return Path(answer["executable"])
            without_venv.append(" ".join(candidate))
    wanted = " or ".join(versions)
    if without_venv:
        version = versions[0]
        return Unavailable(
            f"{without_venv[0]} has no venv module. Install it (on Debian: python{version}-venv)."
        )
    return Unavailable(
        f"no Python {wanted} found on PATH or in pyenv. Install one and run this again."
    )


def _candidates(version: str) -> Iterator[list[str]]:
    yield [getattr(sys, "_base_executable", None) or sys.executable]
    names = (f"python{version}", "python3", "python")
    for name in names:
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            found = shutil.which(name, path=folder) if folder else None
            if found:
                yield [found]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for prefix in sorted(pyenv.glob(f"versions/{version}.*"), reverse=True):
        yield [str(prefix / "bin" / "python")]
    if os.name == "nt" and shutil.which("py"):
        yield ["py", f"-{version}"]


QUESTION = """
import importlib.util, json, os, sys
found = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "venv": found,
}))
"""


def _interrogate(command: list[str]) -> dict | None:
    """Ask an interpreter who it is; None when it does not run (a pyenv shim, for one)."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError):
        answer = subprocess.run(
            [*command, "-I", "-c", QUESTION],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if answer.returncode == 0:
            return json.loads(answer.stdout)
    return None


def _has_version(python: Path, versions: tuple[str, ...]) -> bool:
    answer = _interrogate([str(python)])
    return answer is not None and answer["version"] in versions


def main() -> int:
    """Command line; returns the exit code."""
    environments = all_environments()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(environments))
    parser.add_argument("--list", action="store_true", help="say what there is, make nothing")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(environments)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(environments)}")
    chosen = [environments[name] for name in arguments.names or environments]
    if arguments.list:
        for environment in chosen:
            state = "up to date" if is_current(environment) else "to be made or updated"
            print(f"{environment.name:10} {interpreter(environment.folder)}  {state}")
        return 0
    failed = False
    for environment in chosen:
        try:
            result = ensure(environment)
        except SetupError as failure:
            result = Unavailable(str(failure))
        if isinstance(result, Unavailable):
            say(result.reason)
            failed = True
        else:
            print(f"{environment.name:10} {result}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
