# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts between Blender's property groups and the capture's dataclass.

A stroke's positions are one text: undo keeps it as a whole, and files hold it in any version.
"""

from __future__ import annotations

import math

from mvsam_engine.capture import Prompt

from .props_prompt import MVSAM_PG_prompt


def to_prompt(stored: MVSAM_PG_prompt) -> Prompt:
    """The prompt that a property group holds."""
    xy: tuple[tuple[float, float], ...] = ((stored.x, stored.y),)
    if stored.kind == "box":
        xy = (*xy, (stored.x2, stored.y2))
    elif stored.kind == "stroke":
        xy = positions(stored.path) or xy
    elif stored.kind == "mask":
        xy = ()
    return Prompt(
        kind=stored.kind,
        view=stored.view,
        include=stored.include,
        xy=xy,
        radius=stored.radius if stored.kind == "stroke" else 0.0,
        mask=stored.mask if stored.kind == "mask" else "",
    )


def fill(stored: MVSAM_PG_prompt, prompt: Prompt) -> None:
    """Write a prompt into a property group."""
    stored.kind, stored.view, stored.include = prompt.kind, prompt.view, prompt.include
    stored.radius, stored.mask = prompt.radius, prompt.mask
    stored.path = ""
    if prompt.kind == "stroke":
        stored.path = " ".join(f"{x:.2f},{y:.2f}" for x, y in prompt.xy)
    if prompt.xy:
        stored.x, stored.y = prompt.xy[0]
        stored.x2, stored.y2 = prompt.xy[-1]


def positions(path: str) -> tuple[tuple[float, float], ...]:
    """Positions of a stroke from its text; none when that is no such text."""
    try:
        pairs = [tuple(float(v) for v in place.split(",")) for place in path.split()]
    except ValueError:
        return ()
    fine = all(len(p) == 2 and all(map(math.isfinite, p)) for p in pairs)
    return tuple((p[0], p[1]) for p in pairs) if fine else ()
