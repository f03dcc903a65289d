# SPDX-License-Identifier: GPL-3.0-or-later
"""The request ``place`` as a wish of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mvsam_engine.capture.schema import placement_from_json
from mvsam_engine.errors import CaptureError
from mvsam_engine.fields import Fields
from mvsam_engine.protocol import PlaceParams

if TYPE_CHECKING:
    from mvsam_engine.place.world import Wish


def wish_of(params: PlaceParams) -> Wish:
    """What a client asks for.

    Raises:
        CaptureError: a placement that is none.
        UsageError: a length that is none.
    """
    from mvsam_engine.place.scale import Baseline, Distance, Spot, check_length
    from mvsam_engine.place.world import Wish

    given = Fields(params.placement, "The placement", CaptureError)
    height = params.camera_height
    return Wish(
        upright=params.upright,
        ground=params.ground,
        distances=tuple(
            Distance(
                Spot(d.first_view, d.first_x, d.first_y),
                Spot(d.second_view, d.second_x, d.second_y),
                check_length(d.metres),
            )
            for d in params.distances
        ),
        baselines=tuple(
            Baseline(b.first_view, b.second_view, check_length(b.metres)) for b in params.baselines
        ),
        camera_height=None if height is None else check_length(height),
        reset=params.reset,
        start=placement_from_json(given) if params.placement else None,
    )
