# SPDX-License-Identifier: GPL-3.0-or-later
"""``--geometry auto``: which method suits these photos on this machine, and why (light to import).

The classical way is the more exact one where it works (docs/geometry.md): it is tried first where
it has a chance. What it cannot do, and says so, a trained model does if one is installed.
"""

from __future__ import annotations

from dataclasses import dataclass

from mvsam_engine.capture.files import Transaction
from mvsam_engine.capture.model import Reconstruction
from mvsam_engine.capture.store import Capture
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.neural.backends import BACKENDS, Backend

# From so many photos on, ordinary ones are near enough to each other to be matched.
ENOUGH_PHOTOS = 6
# The order in which installed models are preferred: on a GPU the strongest, on a CPU those that
# were made for one.
ON_GPU = ("vggt", "pi3", "da3-large", "da3", "da3-small", "mast3r", "dust3r")
ON_CPU = ("da3", "da3-small", "da3-large", "vggt", "pi3", "mast3r", "dust3r")


@dataclass(frozen=True, slots=True)
class Choice:
    """What is tried.

    Attributes:
        first: name of a method.
        second: the one for what the first refuses, "" when there is none.
        why: a sentence.
    """

    first: str
    second: str
    why: str


def is_installed(backend: Backend) -> bool:
    """Whether all that a back end needs is on this machine; only looks at files."""
    from mvsam_engine.weights.official import find_checkpoint

    names = (backend.weights, *backend.other_weights)
    here = any(find_checkpoint(name).is_here() for name in names)
    return here and not backend.missing()


def installed() -> tuple[str, ...]:
    """Names of the models whose weights are here."""
    return tuple(name for name, backend in BACKENDS.items() if is_installed(backend))


def choose(count: int, device: str, models: tuple[str, ...]) -> Choice:
    """What suits `count` photos.

    Args:
        count: photos of the capture.
        device: cpu, cuda or mps, where a model would run.
        models: names of those that are installed.
    """
    order = ON_CPU if device == "cpu" else ON_GPU
    model = next((name for name in order if name in models), "")
    photos = "a single photo" if count == 1 else f"{count} photos"
    if not model:
        lacks = (
            "; no geometry model is installed (`mvsam weights get da3-base` fetches one, 542 MB)"
        )
        return Choice("classical", "", f"classical, for {photos}{lacks}")
    if count == 1:
        return Choice(model, "", f"{model}, because one photo alone shows no depth to measure")
    if count < ENOUGH_PHOTOS:
        return Choice(
            model,
            "classical",
            f"{model}, because {photos} are often too far apart to be matched",
        )
    return Choice("classical", model, f"classical, the most exact for {photos}; else {model}")


class AutoReconstructor:
    """Tries what suits; the reconstruction tells which method made it."""

    name = "auto"

    def reconstruct(
        self,
        capture: Capture,
        options: ReconstructOptions,
        progress: Progress,
        transaction: Transaction,
    ) -> Reconstruction:
        """See `Reconstructor.reconstruct`."""
        from mvsam_engine.reconstruct import RECONSTRUCTORS

        models = installed()
        device = "cpu"
        if models:
            from mvsam_engine.reconstruct.neural.plan import pick_device

            device = pick_device(options.device).name
        choice = choose(len(capture.photos()), device, models)
        progress.warn("geometry.chosen", f"Chosen: {choice.why}.")
        try:
            first = RECONSTRUCTORS[choice.first]()
            return first.reconstruct(capture, options, progress, transaction)
        except ReconstructionError as error:
            if not choice.second:
                raise
            progress.warn(
                "geometry.second",
                f"{choice.first} says: {error.message} Now {choice.second} is tried.",
            )
        second = RECONSTRUCTORS[choice.second]()
        return second.reconstruct(capture, options, progress, transaction)
