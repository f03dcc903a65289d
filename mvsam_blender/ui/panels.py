# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar tab, in the order of work: Photos, Reconstruct, Objects, Output.

Every part has its own module; the same parts stand in the 3D Viewport and in the Image Editor.
"""

from . import panel_objects, panel_photos, panel_views
from .panel_display import Display
from .panel_given import Given
from .panel_mask import Masks
from .panel_objects import Objects
from .panel_output import Output
from .panel_part import panels_of
from .panel_photos import Photos
from .panel_place import Place
from .panel_reconstruct import Reconstruct
from .panel_status import Status
from .panel_views import Views

# A part comes after the one that it stands in.
_PARTS = (
    Status,
    Photos,
    Reconstruct,
    Given,
    Place,
    Objects,
    Views,
    Masks,
    Display,
    Output,
)

PANELS = tuple(panel for part in _PARTS for panel in panels_of(part))
CLASSES = (*panel_photos.CLASSES, *panel_objects.CLASSES, *panel_views.CLASSES, *PANELS)
