# SPDX-License-Identifier: GPL-3.0-or-later
"""Structure from motion, run in a child process that may crash or be cancelled at any moment."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import mvsam_engine
from mvsam_engine.errors import MvsamError, ReconstructionError
from mvsam_engine.memory import OUT, MemoryShortError, child_short
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts, Said, SfmJob, load_facts
from mvsam_engine.reconstruct.classical.sparse import SparseModel, load_model

WORKER = "mvsam_engine.reconstruct.classical.sfm_worker"
# Seconds between two looks at whether the person cancelled.
PATIENCE = 0.2

# The child runs isolated (-I), so it must be told where this package lies, and what to run.
_BOOTSTRAP = (
    "import runpy, sys; sys.path.append(sys.argv.pop(1)); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def run_sfm(job: SfmJob, progress: Progress) -> tuple[SparseModel | None, dict[str, PhotoFacts]]:
    """Place the photos of `job`.

    Returns:
        The best-supported model, None when no two photos fit together, and what was found out
        about each photo.

    Raises:
        ReconstructionError: the child process died.
        MemoryShortError: it died for lack of memory.
        Cancelled: cancellation was asked for; the child is gone.
    """
    folder = Path(job.folder)
    run_worker(WORKER, job.save(), folder, progress)
    model = load_model(folder) if (folder / "model.json").is_file() else None
    return model, load_facts(folder)


def run_worker(module: str, job: Path, folder: Path, progress: Progress) -> None:
    """Run a worker module in a child process until it ends.

    Args:
        module: name of the module; its first argument is the job's file, it says `Said` lines.
        job: the job's file.
        folder: work folder, where the child's log goes.
        progress: told what the child says.

    Raises:
        ReconstructionError: the child process died.
        MemoryShortError: it died for lack of memory.
        Cancelled: cancellation was asked for; the child is gone.
    """
    package_root = Path(mvsam_engine.__file__).resolve().parents[1]
    command = [sys.executable, "-I", "-u", "-c", _BOOTSTRAP, str(package_root), module, str(job)]
    with (
        (folder / "worker.log").open("wb") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=_clean_environment(),
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as child,
    ):
        try:
            ended = _follow(child, progress)
            child.wait()
        finally:
            child.kill()
    if not ended:
        raise _death_sentence(folder, child.returncode)


def _clean_environment() -> dict[str, str]:
    """The environment without what would change which Python packages the child finds."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"
    }


def _read_lines(stream: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _follow(child: subprocess.Popen[str], progress: Progress) -> bool:
    """Pass the child's progress on until it ends; gives whether it said that it was done."""
    if child.stdout is None:
        return False
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read_lines, args=(child.stdout, lines), daemon=True).start()
    ended = False
    while True:
        progress.check()
        try:
            line = lines.get(timeout=PATIENCE)
        except queue.Empty:
            continue
        if line is None:
            return ended
        said = Said.read(line)
        if said is None:
            continue
        if said.stage:
            progress.stage(said.stage, said.total)
        if said.step:
            progress.step(said.step)
        ended = ended or said.end


def _death_sentence(folder: Path, code: int | None) -> MvsamError:
    """What to tell when the child died, with the last words of its log."""
    log = (folder / "worker.log").read_text(encoding="utf-8", errors="replace").strip()
    if child_short(code, log):
        return MemoryShortError(OUT, "Placing the photos was ended for lack of memory.")
    last = log.splitlines()[-1][:300] if log else "it left no message"
    return ReconstructionError(
        "reconstruct.crashed",
        f"Placing the photos failed inside the structure-from-motion library (exit code {code}; "
        f"{last}).",
        "Run it again; if it fails again, leave out the photos added last, or use fewer photos "
        "when memory is short.",
    )
