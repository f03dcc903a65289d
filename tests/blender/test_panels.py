# SPDX-License-Identifier: GPL-3.0-or-later
"""Every panel drawn onto a layout that checks each call against this Blender's own description.

There is no real layout without a window (tests/window has one). What a real one refuses is refused
here: properties, operators, their arguments and icons that this version of Blender does not have.
"""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
import synthetic

from mvsam_engine.capture import Placement

_FUNCTIONS = bpy.types.UILayout.bl_rna.functions
_ICONS = set(_FUNCTIONS["label"].parameters["icon"].enum_items.keys())


class OperatorArguments:
    """What a panel may set on an operator's button."""

    def __init__(self, rna: bpy.types.Struct) -> None:
        object.__setattr__(self, "_rna", rna)

    def __setattr__(self, name, _value):
        assert name in self._rna.properties, f"{self._rna.identifier} has no {name}"


class CheckedLayout:
    """Takes what a `UILayout` takes, and keeps the texts and operators."""

    def __init__(self, texts=None, operators=None):
        object.__setattr__(self, "texts", [] if texts is None else texts)
        object.__setattr__(self, "operators", [] if operators is None else operators)

    def __setattr__(self, name, _value):
        assert name in bpy.types.UILayout.bl_rna.properties, f"layouts have no {name}"

    def __getattr__(self, name):
        function = _FUNCTIONS.get(name)
        assert function is not None, f"layouts have no {name}()"

        def call(*arguments, **named):
            known = function.parameters.keys()
            assert set(named) <= set(known), f"{name}() takes no {set(named) - set(known)}"
            assert named.get("icon", "NONE") in _ICONS, named["icon"]
            values = dict(zip(known, arguments, strict=False)) | named
            return self._called(name, values)

        return call

    def _called(self, name, values):
        if values.get("text"):
            assert isinstance(values["text"], str)
            self.texts.append(values["text"])
        if name in {"prop", "template_list"}:
            data = values["data"] if name == "prop" else values["dataptr"]
            path = values["property"] if name == "prop" else values["propname"]
            assert path in data.bl_rna.properties, f"{data.bl_rna.identifier} has no {path}"
        if name == "operator":
            room, action = values["operator"].split(".")
            self.operators.append(values["operator"])
            return OperatorArguments(getattr(getattr(bpy.ops, room), action).get_rna_type())
        return CheckedLayout(self.texts, self.operators)


@pytest.fixture
def panels(extension):
    """All panels of the add-on."""
    return importlib.import_module(f"{extension.__name__}.ui.panels").PANELS


def draw_all(panels) -> CheckedLayout:
    """Draw every panel; what they drew."""
    layout = CheckedLayout()
    for panel in panels:
        if panel.poll(bpy.context) if hasattr(panel, "poll") else True:
            panel.draw(SimpleNamespace(layout=layout), bpy.context)
    return layout


def test_panels_draw_in_an_empty_scene(panels):
    drawn = draw_all(panels)
    assert "mvsam.import_photos" in drawn.operators
    assert "As reconstructed: no true scale" in drawn.texts


def test_panels_stand_in_the_order_of_work_with_their_parts_closed(panels):
    for kind, space in (("VIEW_3D", "view3d"), ("IMAGE_EDITOR", "image")):
        mine = [p for p in panels if p.bl_space_type == kind]
        tab = sorted((p for p in mine if not hasattr(p, "bl_parent_id")), key=lambda p: p.bl_order)
        assert [p.bl_label for p in tab[1:]] == ["Photos", "Reconstruct", "Objects", "Output"]
        for panel in (p for p in mine if hasattr(p, "bl_parent_id")):
            assert "DEFAULT_CLOSED" in panel.bl_options
            assert panel.bl_parent_id.startswith(f"MVSAM_PT_{space}_")
            assert hasattr(bpy.types, panel.bl_parent_id)
    names = [p.bl_label for p in panels if hasattr(p, "bl_parent_id")]
    assert {"What You Have", "Scale & Up", "Display"} <= set(names)
    assert all(names.count(name) == 2 for name in names)


def test_panels_draw_with_a_capture_in_every_state(panels, extension, tmp_path):
    capture = synthetic.make_capture(tmp_path / "capture")
    synthetic.add_answer(capture)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    settings = bpy.context.scene.mvsam
    bpy.ops.mvsam.measure_mark(view="wide", x=60, y=60)
    assert "B: not set" in draw_all(panels).texts
    bpy.ops.mvsam.measure_mark(view="wide", x=100, y=60)
    drawn = draw_all(panels)
    assert {"mvsam.set_upright", "mvsam.set_scale", "mvsam.clear_placement"} <= set(drawn.operators)
    (distance,) = {t for t in drawn.texts if t.startswith("Distance now")}
    # 40 pixels at a focal length of 150 from about 3 units away, seen a little aslant.
    assert distance.startswith("Distance now: 80.") and distance.endswith(" cm")
    bpy.context.scene.unit_settings.system = "NONE"
    assert any(t.startswith("Distance now: 0.") for t in draw_all(panels).texts)
    settings.place.scale_from = "HEIGHT"
    assert "mvsam.set_scale_by_height" in draw_all(panels).operators
    placement = Placement(2.0, np.eye(4), True, True, "up from a plane; scale from 2 lengths")
    with capture.writing(), capture.transaction() as transaction:
        capture.put_placement(placement, transaction)
    bpy.ops.mvsam.open_capture(directory=str(capture.root))
    assert {"Up from a plane", "Scale from 2 lengths"} <= set(draw_all(panels).texts)
    parent = next(o for o in bpy.context.scene.objects if o.get("mvsam_kind") == "parent")
    parent.location.x += 1
    assert "Moved by hand" in draw_all(panels).texts
    confidence = capture.root / "confidence" / "wide.npy"
    np.save(confidence, np.zeros_like(np.load(confidence)))
    settings.place.scale_from = "MARKS"
    module = importlib.import_module(f"{extension.__name__}.scene.session")
    module.session().ruler.forget()
    assert any("not sure enough" in t for t in draw_all(panels).texts)
