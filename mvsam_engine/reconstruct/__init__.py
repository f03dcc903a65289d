# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos to cameras and pointmaps: one interface, several methods (light to import)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from mvsam_engine.capture.model import Reconstruction
from mvsam_engine.capture.store import Capture
from mvsam_engine.errors import CaptureError, UsageError
from mvsam_engine.place.carry import carry_placement
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions, Reconstructor
from mvsam_engine.reconstruct.neural.backends import BACKENDS, Backend


def _load_classical() -> Reconstructor:
    from mvsam_engine.reconstruct.classical.reconstructor import ClassicalReconstructor

    return ClassicalReconstructor()


def _load_posed() -> Reconstructor:
    from mvsam_engine.reconstruct.posed.reconstructor import PosedReconstructor

    return PosedReconstructor()


def _load_auto() -> Reconstructor:
    from mvsam_engine.reconstruct.neural.choose import AutoReconstructor

    return AutoReconstructor()


def _load_neural(backend: Backend) -> Reconstructor:
    from mvsam_engine.reconstruct.neural.reconstructor import NeuralReconstructor

    return NeuralReconstructor(backend.name, backend.load)


# What `ReconstructOptions.cameras` is when it stands for the cameras that the capture has.
OWN_CAMERAS = "capture"

# Name of each method to the function that loads it (and, only then, its libraries).
RECONSTRUCTORS: Mapping[str, Callable[[], Reconstructor]] = MappingProxyType(
    {
        "auto": _load_auto,
        "classical": _load_classical,
        "posed": _load_posed,
        **{name: partial(_load_neural, backend) for name, backend in BACKENDS.items()},
    }
)


def method_for(name: str, options: ReconstructOptions) -> str:
    """The method to use: the one that is named, else the one for what the person has.

    Raises:
        UsageError: there is no method of that name, it cannot use what was given, or a file that
            was given is not there.
    """
    _check_given(options)
    has = [f"--{what}" for what in ("cameras", "mesh") if getattr(options, what) is not None]
    if name in ("", "auto") and has:
        return "posed"
    if not name:
        from mvsam_engine.reconstruct.neural.choose import installed

        return "auto" if installed() else "classical"
    if name not in RECONSTRUCTORS:
        raise UsageError(
            "usage.geometry",
            f"There is no geometry {name!r}.",
            f"Known: {', '.join(RECONSTRUCTORS)}.",
        )
    if has and name != "posed":
        raise UsageError(
            "usage.geometry",
            f"The method {name!r} places the photos itself and cannot use {' and '.join(has)}.",
            "Leave out --geometry, or choose --geometry posed.",
        )
    return name


def _check_given(options: ReconstructOptions) -> None:
    """Refuse paths that lead nowhere, before anything is read or made."""
    cameras, mesh = options.cameras, options.mesh
    if cameras is not None and str(cameras) != OWN_CAMERAS and not cameras.exists():
        raise UsageError(
            "cameras.missing",
            f"There is no camera file or folder {cameras}.",
            f"Check the path given as --cameras; '{OWN_CAMERAS}' stands for the cameras that the "
            "capture already has.",
        )
    if mesh is not None and not mesh.is_file():
        raise UsageError(
            "mesh.missing", f"There is no mesh file {mesh}.", "Check the path given as --mesh."
        )


def reconstruct(
    capture: Capture, geometry: str, options: ReconstructOptions, progress: Progress
) -> Reconstruction:
    """Reconstruct a capture and store cameras and pointmaps in it, all or nothing.

    The caller holds ``capture.writing()``.

    Args:
        capture: the capture; its photos are already in it.
        geometry: a key of `RECONSTRUCTORS`.
        options: what the person may choose.
        progress: told the stages with counts of real work; can cancel.

    Returns:
        What was stored: placed cameras and, with reasons, the photos left out.

    Raises:
        UsageError: there is no method of that name.
        ReconstructionError: the photos give no trustworthy result; the capture is unchanged.
        Cancelled: the person cancelled; the capture is unchanged.
    """
    loader = RECONSTRUCTORS.get(geometry)
    if loader is None:
        raise UsageError(
            "reconstruct.method",
            f"There is no reconstruction method {geometry!r}.",
            f"Choose one of: {', '.join(RECONSTRUCTORS)}.",
        )
    _check_given(options)
    earlier = _earlier(capture)
    with capture.transaction() as transaction:
        reconstruction = loader().reconstruct(capture, options, progress, transaction)
        progress.check()
        reconstruction = carry_placement(earlier, reconstruction, progress)
        capture.put_reconstruction(reconstruction, transaction)
    return reconstruction


def _earlier(capture: Capture) -> Reconstruction | None:
    """The reconstruction that is there; None when there is none that can be read."""
    try:
        return capture.reconstruction()
    except CaptureError:
        return None  # it is about to be replaced


__all__ = [
    "OWN_CAMERAS",
    "RECONSTRUCTORS",
    "ReconstructOptions",
    "Reconstructor",
    "method_for",
    "reconstruct",
]
