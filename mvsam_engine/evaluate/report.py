# SPDX-License-Identifier: GPL-3.0-or-later
"""Outcomes as tables: for a terminal, and as markdown for documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from mvsam_engine.evaluate.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As a markdown table under a bold title."""
        lines = [f"**{self.title}**", ""] if self.title else []
        lines += [_bar(self.head), _bar(["---"] * len(self.head))]
        return "\n".join([*lines, *map(_bar, self.rows)])


def _bar(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def tables(outcomes: Sequence[Outcome]) -> list[Grid]:
    """Every table that the outcomes give, empty ones left out."""
    grids = [pose_grid(outcomes), depth_grid(outcomes), cost_grid(outcomes)]
    grids += [stage_grid(outcomes), calibration_grid(outcomes), seed_grid(outcomes)]
    return [grid for grid in grids if grid.rows]


def _name(outcome: Outcome) -> str:
    return f"{outcome.set}, {outcome.photos} photos"


def _percent(share: float | None, digits: int = 0) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f}"


def pose_grid(outcomes: Iterable[Outcome]) -> Grid:
    """Placed photos, errors of the cameras, or why there are none."""
    head = ("set", "method", "seed", "placed", "rotation, median (max)", "centre, median (max)", "")
    rows = []
    for o in outcomes:
        if o.poses is not None:
            p = o.poses
            rotation = f"{p.degrees_median:.3f}° ({p.degrees_max:.3f}°)"
            centre = f"{100 * p.centre_median:.3f} % ({100 * p.centre_max:.3f} %)"
            remark = "**wrong, not flagged**" if o.wrong else ""
        else:
            rotation = centre = "-"
            remark = {"ok": "too few to compare"}.get(o.status, f"{o.status}: {short(o.reason)}")
        placed = f"{o.placed} of {o.photos}" if o.status == "ok" else "-"
        rows.append((_name(o), o.method, str(o.seed), placed, rotation, centre, remark))
    return Grid("Cameras (centre errors in % of the rig)", head, tuple(rows))


def short(reason: str, limit: int = 160) -> str:
    """The first sentences of a reason that fit."""
    return reason if len(reason) <= limit else reason[: limit - 3].rstrip() + "..."


def depth_grid(outcomes: Iterable[Outcome]) -> Grid:
    """Shares of measured pixels, and of pixels within 1, 3 and 10 % of the true depth."""
    head = (
        "set",
        "method",
        "measured",
        "of these within 1 / 3 / 10 %",
        "median error",
        "of all pixels within 1 / 3 / 10 %",
        "sky measured",
    )
    rows = []
    for o in outcomes:
        if (d := o.depth) is None:
            continue
        within = " / ".join(_percent(share) for share in d.measured_within)
        full = " / ".join(_percent(share, 1) for share in d.full_within)
        rows.append(
            (
                _name(o),
                o.method,
                _percent(d.measured),
                within,
                _percent(d.measured_median, 2),
                full,
                _percent(d.nothing),
            )
        )
    return Grid("Depth (% of the pixels whose true depth is known)", head, tuple(rows))


def cost_grid(outcomes: Iterable[Outcome]) -> Grid:
    """Seconds and memory."""
    head = ("set", "method", "wall", "processor", "a photo", "peak memory, all processes")
    rows = []
    for o in outcomes:
        if o.status in ("ok", "refused") and o.wall_s:
            memory = "-" if o.peak_mb is None else f"{o.peak_mb} MB"
            each = f"{o.cpu_s / o.photos:.1f} s"
            rows.append((_name(o), o.method, f"{o.wall_s:.0f} s", f"{o.cpu_s:.0f} s", each, memory))
    return Grid("Time and memory", head, tuple(rows))


def stage_grid(outcomes: Iterable[Outcome]) -> Grid:
    """Wall seconds by stage, with processor seconds behind where they are known."""
    rows = []
    for o in outcomes:
        stages = [
            f"{name} {wall:.1f}"
            + (f" ({o.stages_cpu_s[name]:.1f})" if name in o.stages_cpu_s else "")
            for name, wall in o.stages_s.items()
        ]
        if stages:
            rows.append((_name(o), o.method, ", ".join(stages)))
    return Grid("Stages: wall (processor) seconds", ("set", "method", "stages"), tuple(rows))


def calibration_grid(outcomes: Iterable[Outcome]) -> Grid:
    """By tenth of confidence: the share within 1 % and, in brackets, the share of pixels."""
    head = ("set", "method", *(f"{t / 10:.1f}" for t in range(10)))
    rows = []
    for o in outcomes:
        if o.calibration is None:
            continue
        count, right = o.calibration
        total = max(sum(count), 1)
        cells = [
            f"{r / c:.2f} ({100 * c / total:.0f} %)" if c else "-"
            for c, r in zip(count, right, strict=True)
        ]
        rows.append((_name(o), o.method, *cells))
    title = "Calibration: share of pixels within 1 % of their depth, by tenth of confidence"
    return Grid(title, head, tuple(rows))


def seed_grid(outcomes: Sequence[Outcome]) -> Grid:
    """Over seeds: how often a method answers, refuses, and is wrong without saying so."""
    rows = []
    ordered = sorted(outcomes, key=lambda o: (o.set, o.photos, o.method))
    for (name, count, method), group in groupby(ordered, lambda o: (o.set, o.photos, o.method)):
        runs = [o for o in group if o.status != "absent"]
        if len(runs) < 2:
            continue
        answered = [o for o in runs if o.status == "ok"]
        placed = sum(o.placed for o in runs) / (len(runs) * count)
        rows.append(
            (
                f"{name}, {count} photos",
                method,
                str(len(runs)),
                f"{100 * placed:.0f} %",
                str(sum(o.status == "refused" for o in runs)),
                str(sum(o.status == "failed" for o in runs)),
                str(sum(o.wrong for o in answered)),
            )
        )
    head = ("set", "method", "runs", "photos placed", "refused", "failed", "wrong and not flagged")
    return Grid("Over seeds", head, tuple(rows))


def headline(outcome: Outcome) -> str:
    """How a run ended, in a line."""
    line = f"{_name(outcome)}, {outcome.method}, seed {outcome.seed}: {outcome.status}"
    if outcome.status == "ok":
        line += f", {outcome.placed} placed" + (", WRONG and not flagged" if outcome.wrong else "")
    return line


def reasons(outcomes: Iterable[Outcome]) -> list[str]:
    """Full reasons, one line each, for people who want to know."""
    return [f"{headline(o)}. {o.reason}" for o in outcomes if o.status != "ok"]
