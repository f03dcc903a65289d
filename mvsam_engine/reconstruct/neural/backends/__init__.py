# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry models by name (light to import): who they are, and how each is made when asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvsam_engine.reconstruct.neural.answer import GeometryModel


@dataclass(frozen=True, slots=True)
class Backend:
    """A geometry model that can be asked for.

    Attributes:
        name: as in ``--geometry NAME``.
        weights: name of its checkpoint in `mvsam_engine.weights`.
        load: makes it, with its weights.
        other_weights: names of checkpoints that do as well.
        missing: what else it lacks on this machine, "" when nothing; cheap.
    """

    name: str
    weights: str
    load: Callable[[], GeometryModel]
    other_weights: tuple[str, ...] = ()
    missing: Callable[[], str] = lambda: ""


def _da3_small() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.da3 import load

    return load("small")


def _da3_base() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.da3 import load

    return load("base")


def _da3_large() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.da3 import load

    return load("large")


def _vggt() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.vggt import load

    return load()


def _pi3() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.pi3 import load

    return load()


def _dust3r() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.dust3r import load

    return load("dust3r")


def _mast3r() -> GeometryModel:
    from mvsam_engine.reconstruct.neural.backends.dust3r import load

    return load("mast3r")


def _no_code(package: str) -> str:
    from mvsam_engine.reconstruct.neural.backends.checkout import missing

    return missing(package, f"https://github.com/naver/{package}")


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        backend.name: backend
        for backend in (
            Backend("da3", "da3-base", _da3_base),
            Backend("da3-small", "da3-small", _da3_small),
            Backend("da3-large", "da3-large", _da3_large),
            Backend("vggt", "vggt", _vggt, ("vggt-commercial",)),
            Backend("pi3", "pi3", _pi3),
            Backend("dust3r", "dust3r", _dust3r, missing=partial(_no_code, "dust3r")),
            Backend("mast3r", "mast3r", _mast3r, missing=partial(_no_code, "mast3r")),
        )
    }
)
