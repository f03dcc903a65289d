# SPDX-License-Identifier: GPL-3.0-or-later
"""This engine, as a method's process."""

from __future__ import annotations

import os
from pathlib import Path

import mvsam_engine
from mvsam_engine import jobs
from mvsam_engine.errors import MvsamError
from mvsam_engine.evaluate.exchange import Result, write_result
from mvsam_engine.evaluate.methods import Job, read_job
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions


class StageClock(Progress):
    """Books processor time by stage too; a child's time counts where the child ended."""

    def __init__(self) -> None:
        super().__init__()
        self._last = _cpu()
        self._told = ""
        self.cpu: dict[str, float] = {}

    def on_change(self) -> None:
        """Book the time of the stage before when a new one begins."""
        if self.stage_name != self._told:
            self.book()
            self._told = self.stage_name
            print(f"{self.stage_name} ...", flush=True)

    def book(self) -> None:
        """Add the processor time since the last call to the running stage."""
        now = _cpu()
        if self._told:
            self.cpu[self._told] = self.cpu.get(self._told, 0.0) + now - self._last
        self._last = now

    def on_warning(self, code: str, message: str, remedy: str) -> None:
        """Into the log."""
        print(f"warning {code}: {message} {remedy}", flush=True)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run(job: Job) -> Result:
    """Reconstruct the job's photos into a capture in its folder."""
    options = ReconstructOptions(preset=job.preset, max_size=job.max_size, seed=job.seed)
    clock, refused, cameras, unplaced = StageClock(), "", {}, {}
    try:
        _, made = jobs.reconstruct_photos(
            Path(job.out), [Path(job.photos)], "classical", options, clock
        )
        cameras = {camera.view: camera.camera_from_world for camera in made.cameras}
        unplaced = {left.view: left.reason for left in made.unplaced}
    except MvsamError as error:
        refused = str(error)
    clock.book()
    return Result(
        cameras=cameras,
        refused=refused,
        unplaced=unplaced,
        stages_s={name: round(s, 2) for name, s in clock.seconds_by_stage().items()},
        stages_cpu_s={name: round(s, 2) for name, s in clock.cpu.items()},
        version=mvsam_engine.__version__,
        settings={"preset": job.preset, "max_size": options.size, "seed": job.seed},
    )


if __name__ == "__main__":
    job = read_job()
    write_result(Path(job.out), run(job))
