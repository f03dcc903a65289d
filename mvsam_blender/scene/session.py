# SPDX-License-Identifier: GPL-3.0-or-later
"""What lives as long as Blender runs and is in no file: the engine, its jobs, first answers.

There is one `Session`, made by `register` and kept on Blender's window manager type.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import bpy
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import MvsamError
from mvsam_engine.protocol.smaller import WorkSetting

from ..core.client import EngineClient
from ..core.events import Finished
from ..core.hover import Hover
from ..core.install_run import InstallRun
from ..core.prompts import Revisions
from ..core.report import EngineReport
from ..core.ruler import Ruler

if TYPE_CHECKING:
    from .recovery import Setback

JobKind = Literal["reconstruct", "prepare", "segment", "delete", "doctor", "place", "forecast"]

# Until the engine says which stage it is at.
_TITLES: dict[JobKind, str] = {
    "reconstruct": "Starting to reconstruct",
    "prepare": "Getting ready for clicks",
    "segment": "Segmenting",
    "delete": "Removing",
    "doctor": "Checking the engine",
    "place": "Placing the world",
    "forecast": "Estimating time and memory",
}


# Folder of a capture and id of an object: ids are unique in one capture only.
ObjectKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How to start the engine.

    Attributes:
        command: program and arguments.
        device: auto, cpu, cuda or mps.
        log: file for what the engine writes to stderr.
        weights: folder of added weights, "" for the engine's own choice.
    """

    command: tuple[str, ...]
    device: str = "auto"
    log: Path = Path(tempfile.gettempdir()) / "mvsam-engine.log"
    weights: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the engine gets."""
        return {"MVSAM_WEIGHTS": self.weights} if self.weights else {}


@dataclass(slots=True)
class Job:
    """A request under way.

    Attributes:
        kind: what is being done.
        capture: folder that it works on.
        object_id: of kind segment and delete.
        revision: prompts that a segmentation answers.
        quiet: only the stored masks are brought up to date; the scene has the answer already.
        superseded: newer prompts or an undo made its answer useless.
        stage: what the engine is at.
        done: finished units of the stage.
        total: units of the stage, 0 when not known.
        standing: what became of the placement meanwhile, to be told at the end.
        setting: how much a reconstruction takes on.
        cancelled: when a person cancelled it, 0 otherwise (monotonic seconds).
    """

    kind: JobKind
    capture: str
    object_id: str = ""
    revision: int = 0
    quiet: bool = False
    superseded: bool = False
    stage: str = ""
    done: int = 0
    total: int = 0
    standing: str = ""
    setting: WorkSetting | None = None
    cancelled: float = 0.0

    @property
    def key(self) -> ObjectKey:
        """Which object of which capture it is about."""
        return self.capture, self.object_id

    @property
    def title(self) -> str:
        """What is being done, with its count, for panel and status bar."""
        name = self.stage or _TITLES[self.kind]
        if self.cancelled:
            return f"Cancelling: {name}"
        return f"{name} {self.done} / {self.total}" if self.total else name


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence for the panel.

    Attributes:
        level: how grave it is.
        text: sentence with its remedy.
        code: stable code of an error, which decides about the button that is offered.
    """

    level: Literal["INFO", "WARNING", "ERROR"]
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PendingMask:
    """A view's first answer: logits [h, w] float32, > 0 is object, and the revision it answers."""

    revision: int
    logits: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Session:
    """The engine client with its jobs, and what overlays show of them.

    Attributes:
        settings: gives the person's present engine settings.
        client: None until an engine was needed.
        jobs: by request id.
        revisions: gives out new prompt revisions.
        pending: first answers by object and view.
        stored: revision that the masks in the capture answer, by object.
        placed: the placement that a capture is known to hold, and the stamp of its cameras, by
            folder.
        ruler: remembers what the measure marks show.
        hover: what a click would mark while the mouse rests on a photo.
        deferred: ends of jobs that wait until Blender can take them.
        message: the last thing to tell.
        check: what the engine said of itself, as sentences.
        check_ok: whether it named no problem.
        report: the same as the preferences show it, None before the first check.
        install: the installation of an engine under way, or the last one.
        watchers: called at every turn of the timer; they tell whether something is under way.
        setback: the last work that was too much for memory (`recovery.Setback`).
        lost: removals that an engine took with it when it died.
        stopping: a person wanted the engine to end.
        stamp: grows when points, weights or their display have changed; the 3D overlay follows.
        sync_needed: prompts may have changed behind our back (undo, load).
    """

    settings: Callable[[], EngineSettings]
    client: EngineClient | None = None
    jobs: dict[int, Job] = field(default_factory=dict)
    revisions: Revisions = field(default_factory=Revisions)
    pending: dict[tuple[ObjectKey, str], PendingMask] = field(default_factory=dict)
    stored: dict[ObjectKey, int] = field(default_factory=dict)
    placed: dict[str, tuple[int, str]] = field(default_factory=dict)
    ruler: Ruler = field(default_factory=Ruler)
    hover: Hover = field(default_factory=Hover)
    deferred: list[tuple[Job, Finished]] = field(default_factory=list)
    message: Message | None = None
    check: tuple[str, ...] = ()
    check_ok: bool = False
    report: EngineReport | None = None
    install: InstallRun | None = None
    watchers: list[Callable[[], bool]] = field(default_factory=list)
    setback: Setback | None = None
    lost: list[Job] = field(default_factory=list)
    stopping: bool = False
    stamp: int = 0
    sync_needed: bool = False

    def tell(
        self, text: str, level: Literal["INFO", "WARNING", "ERROR"] = "INFO", code: str = ""
    ) -> None:
        """Show a sentence in the panel."""
        self.message = Message(level, text, code)

    def tell_error(self, error: MvsamError) -> None:
        """Show an error with its remedy."""
        self.tell(str(error), "ERROR", error.code)

    def connected(self) -> EngineClient:
        """A client for the present settings; restarts an idle engine when they have changed.

        Raises:
            EngineError: the engine cannot be started.
        """
        settings = self.settings()
        client = self.client
        wanted = (settings.command, settings.environment)
        idle = client is not None and not client.open_requests
        if idle and (client.command, client.environment) != wanted:
            client.stop()
            client = None
        if client is None:
            made = EngineClient(settings.command, settings.log, settings.environment)
            client = self.client = made
        client.start()
        return client

    def job_of(self, key: ObjectKey) -> tuple[int, Job] | None:
        """The segmentation under way for an object's present prompts, with its request id."""
        for request, job in self.jobs.items():
            if job.kind == "segment" and job.key == key and not job.superseded:
                return request, job
        return None

    def leading_job(self) -> Job | None:
        """The job to show progress of: the one that the engine is at, else the oldest."""
        jobs = [job for job in self.jobs.values() if not job.superseded]
        return next((job for job in jobs if job.stage), jobs[0] if jobs else None)

    def forget_capture(self, capture: str) -> None:
        """Drop what is known of a capture, which is read anew; other scenes keep theirs."""
        self.pending = {k: v for k, v in self.pending.items() if k[0][0] != capture}
        self.stored = {k: v for k, v in self.stored.items() if k[0] != capture}
        self.placed.pop(capture, None)
        self.ruler.forget()
        self.stamp += 1

    def forget_file(self) -> None:
        """Drop what belongs to another file; undo never leads back there.

        Answers to the other file's clicks may still be under way: their revisions stay taken.
        """
        self.revisions = Revisions()
        for job in self.jobs.values():
            self.revisions.observe(job.object_id, job.revision)
        self.pending.clear()
        self.stored.clear()
        self.placed.clear()
        self.ruler.forget()
        self.stamp += 1
        self.sync_needed = False


def session() -> Session:
    """The running session; there is one while the add-on is registered."""
    return bpy.types.WindowManager.mvsam_session


def register() -> None:
    """Begin a session."""
    bpy.types.WindowManager.mvsam_session = Session(settings=lambda: EngineSettings(()))


def unregister() -> None:
    """End it, and with it the engine and an installation under way."""
    state = session()
    if state.client is not None:
        state.client.stop()
    if state.install is not None:
        state.install.close()
    del bpy.types.WindowManager.mvsam_session
