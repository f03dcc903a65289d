# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done when work was too much for memory, or does not stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mvsam_engine.protocol import ErrorBody
from mvsam_engine.protocol.smaller import WorkSetting, next_smaller, without_gpu

from ..core.endings import DIED, OUT_OF_MEMORY
from .session import session

if TYPE_CHECKING:
    from .session import Job

# Codes of failures that a smaller setting may mend; an engine that was killed may be one.
TOO_MUCH = frozenset({"memory.out", "memory.gpu", "memory.forecast", OUT_OF_MEMORY})
_LOST = frozenset({DIED, OUT_OF_MEMORY})

# A cancelled job stops at its next step; one that has not after so long hangs.
CANCEL_PATIENCE = 4.0


@dataclass(frozen=True, slots=True)
class Setback:
    """Work that was too much for memory, or may have been.

    Attributes:
        kind: reconstruct, segment or prepare.
        capture: folder that it was to work on.
        setting: how much it took on; of a reconstruction.
        code: of the error.
    """

    kind: str
    capture: str
    setting: WorkSetting
    code: str

    @property
    def smaller(self) -> WorkSetting | None:
        """The next smaller setting of a reconstruction, None for other work or at the end."""
        return next_smaller(self.setting) if self.kind == "reconstruct" else None

    @property
    def on_processor(self) -> WorkSetting | None:
        """The same on the processor, when the GPU's memory was too little."""
        return without_gpu(self.setting) if self.code == "memory.gpu" else None


def note_failure(job: Job, error: ErrorBody) -> None:
    """Remember what can be done about a job that failed."""
    state = session()
    if error.code in TOO_MUCH or (error.code == DIED and job.kind == "reconstruct"):
        setting = job.setting or WorkSetting(device=state.settings().device)
        state.setback = Setback(job.kind, job.capture, setting, error.code)
    if error.code in _LOST and job.kind == "delete":
        state.lost.append(job)


def is_stuck() -> bool:
    """Whether something was cancelled and does not stop."""
    now = time.monotonic()
    waiting = [job.cancelled for job in session().jobs.values() if job.cancelled]
    return bool(waiting) and now - min(waiting) > CANCEL_PATIENCE


def stop_hard() -> None:
    """End an engine that does not listen; its death is told as wished."""
    state = session()
    if state.client is not None:
        state.stopping = True
        state.client.kill()
