# SPDX-License-Identifier: GPL-3.0-or-later
"""What the structure-from-motion child process is asked, and what it says back.

The question is one JSON file; the answers are JSON lines (`Said`), and files in the work folder:
``facts.json`` (what was found out about each photo) and the models (`sparse.save_model`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobPhoto:
    """One photo for structure from motion.

    Attributes:
        view: name of the view.
        path: the upright photo.
        width: of the upright photo, pixels.
        height: of the upright photo, pixels.
        focal: focal length from EXIF in pixels of the upright photo, None when unknown.
        camera_model: maker and model, "" when unknown.
        mask: 8-bit image of the upright photo's size, 255 = used; "" when all of it is used.
    """

    view: str
    path: str
    width: int
    height: int
    focal: float | None
    camera_model: str
    mask: str = ""


@dataclass(frozen=True, slots=True)
class SfmJob:
    """Photos and settings for one run.

    Attributes:
        photos: the photos to place.
        folder: work folder; the child writes only there.
        size: long side in pixels at which features are found.
        seed: start of all random numbers.
    """

    photos: tuple[JobPhoto, ...]
    folder: str
    size: int
    seed: int

    def save(self) -> Path:
        """Write ``job.json`` into the work folder; gives its path."""
        path = Path(self.folder) / "job.json"
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: Path) -> SfmJob:
        """Inverse of `save`."""
        data = json.loads(path.read_text(encoding="utf-8"))
        photos = tuple(JobPhoto(**photo) for photo in data.pop("photos"))
        return cls(photos=photos, **data)


@dataclass(slots=True)
class PhotoFacts:
    """What was found out about one photo; reasons given to people are made from it.

    Attributes:
        view: name of the view.
        features: number of SIFT features; -1 when the photo could not be read.
        matches: verified matches with the photo that fits best.
        error: why the photo could not be read, "" otherwise.
        doubted: whether it had a place that the other photos did not confirm.
        scene: names of the other photos that it fits together with, when those are not the
            placed ones: photos of another scene.
        agreement: share of its pixels whose depth other photos confirm, None when it was not
            placed.
    """

    view: str
    features: int = 0
    matches: int = 0
    error: str = ""
    doubted: bool = False
    scene: tuple[str, ...] = ()
    agreement: float | None = None


def save_facts(facts: list[PhotoFacts], folder: Path) -> None:
    """Write ``facts.json``."""
    text = json.dumps([asdict(fact) for fact in facts])
    (folder / "facts.json").write_text(text, encoding="utf-8")


def load_facts(folder: Path) -> dict[str, PhotoFacts]:
    """Read ``facts.json``: view to its facts."""
    data = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    return {item["view"]: PhotoFacts(**{**item, "scene": tuple(item["scene"])}) for item in data}


@dataclass(frozen=True, slots=True)
class Said:
    """One line from the child: a new stage, finished steps, or neither (`end`).

    Attributes:
        stage: name of the stage that begins, "" when none does.
        total: units of work of that stage.
        step: units finished since the last line.
        end: True in the last line of a child that did not fail.
    """

    stage: str = ""
    total: int = 0
    step: int = 0
    end: bool = False

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def read(cls, line: str) -> Said | None:
        """Inverse of `line`; None for anything else a library may have printed."""
        try:
            return cls(**json.loads(line))
        except (ValueError, TypeError):
            return None
