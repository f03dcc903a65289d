# SPDX-License-Identifier: GPL-3.0-or-later
"""What the child process that compares cameras with photos is asked, and what it found.

Its work folder holds ``job.json`` and the given cameras (``given/``, a sparse model without
points); it writes ``facts.json``, ``verdict.json`` and, when asked to, the triangulated model.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto

# Cameras of which less is exact within a quarter of the tolerance are doubted.
EXACT_ENOUGH = 0.75


@dataclass(frozen=True, slots=True)
class CheckJob:
    """Photos to match along given cameras.

    Attributes:
        photos: one for each given camera, in the same order.
        folder: work folder.
        size: long side in pixels at which features are found.
        pairs: numbers of the photos to match.
        triangulate: whether to make points of the matches when the cameras fit.
        seed: start of all random numbers.
    """

    photos: tuple[JobPhoto, ...]
    folder: str
    size: int
    pairs: tuple[tuple[int, int], ...]
    triangulate: bool
    seed: int

    def save(self) -> Path:
        """Write ``job.json`` into the work folder; gives its path."""
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> CheckJob:
        """Inverse of `save`."""
        data = json.loads(path.read_text(encoding="utf-8"))
        photos = tuple(JobPhoto(**photo) for photo in data.pop("photos"))
        pairs = tuple((int(a), int(b)) for a, b in data.pop("pairs"))
        return cls(photos=photos, pairs=pairs, **data)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the photos' matches fit the cameras.

    Attributes:
        matches: verified matches that were asked.
        share: of them that fit the cameras.
        near: mean share of a camera's matches, in its best pairs, that would fit with four times
            the tolerance.
        exact: the same with a quarter of the tolerance.
        contradicting: view to the share of its matches that fit in its best pairs, of the cameras
            that the matches contradict.
        asked: how many cameras the matches say anything about.
        mistake: what would explain it, as a clause for people; "" when nothing known does.
        remedy: what to do about the mistake.
        explained: share of the matches that fit once the mistake is undone.
    """

    matches: int
    share: float
    near: float
    exact: float
    contradicting: dict[str, float]
    asked: int
    mistake: str = ""
    remedy: str = ""
    explained: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the cameras as a whole belong to the photos; a few may still be wrong."""
        return len(self.contradicting) * 2 < max(self.asked, 1) and not self.mistake

    def save(self, folder: Path) -> None:
        """Write ``verdict.json``."""
        (folder / "verdict.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Verdict:
        """Inverse of `save`."""
        return cls(**json.loads((folder / "verdict.json").read_text(encoding="utf-8")))
