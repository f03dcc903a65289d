# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs all tests; installs what they need.

    python3 scripts/test.py                      everything
    python3 scripts/test.py lint engine          only these parts
    python3 scripts/test.py blender-4.5 -- -k undo   further arguments go to pytest

Parts: lint (ruff, pyright), engine (capture, protocol, core, engine), blender-4.2, blender-4.5,
blender-5.2 (the add-on in Blender as a Python module), window (the add-on in the application
itself). What this machine cannot run is skipped with a reason.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import environments  # noqa: E402

LINTED = ["mvsam_engine", "mvsam_blender", "tests", "scripts", "benchmarks"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a part went: passed, FAILED or skipped, and why."""

    part: str
    state: str
    detail: str


def run(part: str, *commands: list[str]) -> Outcome:
    """Run commands one after the other, all of them, also when one fails."""
    began = time.monotonic()
    failed = []
    for command in commands:
        print(f"\n== {part}: {' '.join(Path(c).name for c in command[:4])} ...", flush=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(" ".join(command[1:4]))
    state = "FAILED" if failed else "passed"
    return Outcome(part, state, f"{time.monotonic() - began:.0f} s {'; '.join(failed)}".strip())


def lint(_: list[str]) -> Outcome:
    """Format, lint and types."""
    python = str(environments.engine_python())
    return run(
        "lint",
        [python, "-m", "ruff", "format", "--check", *LINTED],
        [python, "-m", "ruff", "check", *LINTED],
        [python, "-m", "pyright"],
    )


def engine(extra: list[str]) -> Outcome:
    """Everything that needs no Blender."""
    python = str(environments.engine_python())
    parts = ["tests/capture", "tests/core", "tests/engine", "tests/scripts"]
    return run("engine", [python, "-m", "pytest", *parts, *extra])


def blender(version: str, extra: list[str]) -> Outcome:
    """The add-on in Blender `version` as a Python module."""
    environments.engine_python()  # background segmentation runs the real engine
    python = environments.bpy_python(version)
    if isinstance(python, environments.Unavailable):
        return Outcome(f"blender-{version}", "skipped", python.reason)
    return run(f"blender-{version}", [str(python), "-m", "pytest", "tests/blender", *extra])


def window(extra: list[str]) -> Outcome:
    """The add-on in the application; its fixture makes the application or skips with a reason."""
    python = str(environments.engine_python())
    return run("window", [python, "-m", "pytest", "tests/window", *extra])


PARTS: dict[str, Callable[[list[str]], Outcome]] = {
    "lint": lint,
    "engine": engine,
    **{
        f"blender-{v}": (lambda extra, version=v: blender(version, extra))
        for v in environments.BPY_VERSIONS
    },
    "window": window,
}


def main(arguments: list[str]) -> int:
    """Run the named parts, or all; returns 1 when any failed."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    names, extra = arguments[:split] or list(PARTS), arguments[split + 1 :]
    unknown = [n for n in names if n not in PARTS]
    if unknown:
        print(f"Unknown: {', '.join(unknown)}. Parts are: {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    try:
        outcomes = [PARTS[name](extra) for name in names]
    except environments.SetupError as error:
        print(error, file=sys.stderr)
        return 1
    print()
    for outcome in outcomes:
        print(f"{outcome.part:12} {outcome.state:8} {outcome.detail}")
    counts = {s: sum(o.state == s for o in outcomes) for s in ("passed", "FAILED", "skipped")}
    print(
        f"parts: {counts['passed']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped"
    )
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
