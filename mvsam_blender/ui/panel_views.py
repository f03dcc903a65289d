# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel Views: how the active object stands in every photo, and which ones to check."""

import bpy

from ..core.views import ViewAnswer, ViewState
from ..scene import objects, views
from ..scene.props import MVSAM_PG_object
from .panel_part import Part

_ICONS = {
    ViewState.NOT_PLACED: "CANCEL",
    ViewState.UNANSWERED: "DOT",
    ViewState.PENDING: "SORTTIME",
    ViewState.ABSENT: "HIDE_ON",
    ViewState.LOW: "QUESTION",
    ViewState.ANSWERED: "DOT",
    ViewState.CHECKED: "CHECKMARK",
}

# What each filter shows.
_SHOWN = {
    "PRESENT": {ViewState.LOW, ViewState.ANSWERED},
    "ABSENT": {ViewState.ABSENT},
    "PENDING": {ViewState.PENDING, ViewState.UNANSWERED},
    "UNPLACED": {ViewState.NOT_PLACED},
}


class MVSAM_UL_views(bpy.types.UIList):
    """Photos with the state of the active object in each."""

    bl_idname = "MVSAM_UL_views"

    def draw_item(self, context, layout, _data, item, _icon, _active_data, _active_property):
        """One photo."""
        thing = objects.active(context.scene)
        state, answer = views.state(context.scene, thing, item)
        row = layout.row(align=True)
        row.active = state is not ViewState.NOT_PLACED
        row.label(text=item.view, icon=_ICONS[state])
        words = row.row()
        words.alignment = "RIGHT"
        if _is_prompted(thing, item.view):
            words.label(text="", icon="RESTRICT_SELECT_OFF")
        words.label(text=_words(state, answer))
        if answer is not None:
            entry = thing.views[item.view]
            icon = "CHECKBOX_HLT" if entry.checked else "CHECKBOX_DEHLT"
            row.prop(entry, "checked", text="", icon=icon, emboss=False)

    def filter_items(self, context, data, propname):
        """Which photos are listed, and in what order."""
        photos = getattr(data, propname)
        shown = filtered_views(context.scene)
        flags = [self.bitflag_filter_item if p.view in shown else 0 for p in photos]
        if self.filter_name:
            named = bpy.types.UI_UL_list.filter_items_by_name(
                self.filter_name, self.bitflag_filter_item, photos, "view"
            )
            flags = [a & b for a, b in zip(flags, named, strict=True)]
        if not context.scene.mvsam.views.by_confidence:
            return flags, []
        rank = ranks(context.scene)
        return flags, [rank[p.view] for p in photos]


class Views(Part):
    """How the active object stands in every photo."""

    bl_label = "Views"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 0
    parent = "objects"

    def draw(self, context):
        """List, filter, and what is left to check."""
        layout = self.layout
        settings = context.scene.mvsam
        item = objects.active(context.scene)
        if item is None:
            layout.label(text="Click on an object first", icon="INFO")
            return
        row = layout.row(align=True)
        row.prop(settings.views, "filter", text="")
        row.prop(settings.views, "by_confidence", text="", icon="SORTSIZE")
        layout.template_list(
            MVSAM_UL_views.bl_idname, "", settings, "photos", settings, "active_photo", rows=6
        )
        _draw_check(layout, context, item)


def _draw_check(
    layout: bpy.types.UILayout, context: bpy.types.Context, item: MVSAM_PG_object
) -> None:
    """What is left to check, and the buttons for it."""
    scene = context.scene
    left = len(views.queue(scene, item))
    row = layout.row(align=True)
    text = f"Check Next ({left} left)" if left else "Check Next"
    row.operator("mvsam.check_next", text=text, icon="VIEWZOOM")
    row.operator("mvsam.mark_checked", icon="CHECKMARK").go_on = True
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    column.prop(scene.mvsam.views, "check_below")


def filtered_views(scene: bpy.types.Scene) -> set[str]:
    """The photos that the chosen filter shows."""
    item = objects.active(scene)
    wanted = scene.mvsam.views.filter
    if wanted == "CHECK":
        return set(views.queue(scene, item)) if item is not None else set()
    if wanted == "PROMPTED":
        return {prompt.view for prompt in item.prompts} if item is not None else set()
    if wanted == "PRESENT":
        known = views.answers_of(item) if item is not None else {}
        return {view for view, answer in known.items() if answer.present}
    states = views.states(scene, item)
    return {view for view, state in states.items() if state in _SHOWN.get(wanted, ViewState)}


def ranks(scene: bpy.types.Scene) -> dict[str, int]:
    """Place of each photo in the list when the least sure come first."""
    item = objects.active(scene)
    known = views.answers_of(item) if item is not None else {}
    order = sorted(
        (photo.view for photo in scene.mvsam.photos), key=lambda view: _doubt(known.get(view), view)
    )
    return {view: index for index, view in enumerate(order)}


def _doubt(answer: ViewAnswer | None, view: str) -> tuple[int, float, str]:
    """What shows the object before what does not, then what has no answer."""
    if answer is None:
        return 2, 0.0, view
    return (0, answer.confidence, view) if answer.present else (1, -answer.presence, view)


def _is_prompted(item: MVSAM_PG_object | None, view: str) -> bool:
    return item is not None and any(prompt.view == view for prompt in item.prompts)


def _words(state: ViewState, answer: ViewAnswer | None) -> str:
    """What stands beside a photo's name."""
    sure = state in {ViewState.LOW, ViewState.ANSWERED, ViewState.CHECKED}
    if answer is not None and answer.present and sure:
        return f"{answer.confidence:.0%}"
    return "" if state is ViewState.UNANSWERED else state.value


CLASSES = (MVSAM_UL_views,)
