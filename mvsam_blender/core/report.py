# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine's doctor tells, in the order and words that the preferences show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from mvsam_engine import __version__
from mvsam_engine.fields import JsonObject

Standing = Literal["good", "plain", "bad"]

# What people ask about first; the other libraries follow in one line.
_NAMED = ("torch",)


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what it is, how it stands, and whether that is good."""

    label: str
    text: str
    standing: Standing = "plain"


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What is true on the engine's machine.

    Attributes:
        rows: engine, Python, torch, device, memory, disk.
        presets: what each preset takes there, and whether it fits.
        weights: those that are there or damaged, with their licences.
        optional: how many published weights could be added.
        problems: sentences with their remedies.
    """

    rows: tuple[Row, ...]
    presets: tuple[Row, ...]
    weights: tuple[Row, ...]
    optional: int
    problems: tuple[str, ...]

    @property
    def summary(self) -> tuple[str, ...]:
        """The same in plain sentences, for scripts and the text log."""
        return tuple(f"{row.label}: {row.text}" for row in (*self.rows, *self.weights))


def read_report(data: JsonObject) -> EngineReport:
    """Read a doctor's report; what an engine of another version does not tell is left out."""
    weights = [cast(JsonObject, one) for one in _items(data, "weights")]
    problems = tuple(str(problem) for problem in _items(data, "problems"))
    return EngineReport(
        rows=tuple(_rows(data)),
        presets=tuple(_preset(cast(JsonObject, one)) for one in _items(data, "presets")),
        weights=tuple(_weights(one) for one in weights if one.get("state") != "optional"),
        optional=sum(one.get("state") == "optional" for one in weights),
        problems=problems,
    )


def _rows(data: JsonObject) -> Iterable[Row]:
    engine = str(data.get("engine", "?"))
    fits = engine == __version__
    other = "" if fits else f", the add-on is {__version__}"
    licence = f" ({data['licence']})" if data.get("licence") else ""
    yield Row("Engine", f"{engine}{licence}{other}", "good" if fits else "bad")
    yield Row("Python", f"{data.get('python', '?')}, {data.get('executable', '?')}")
    libraries = cast(JsonObject, data.get("libraries") or {})
    for name in _NAMED:
        if name in libraries:
            version = libraries[name]
            yield Row(name, str(version or "missing"), "plain" if version else "bad")
    rest = [f"{n} {v or 'missing'}" for n, v in libraries.items() if n not in _NAMED]
    if rest:
        missing = any(v is None for n, v in libraries.items() if n not in _NAMED)
        yield Row("Libraries", ", ".join(rest), "bad" if missing else "plain")
    yield _device(data)
    gpu = cast(JsonObject, data.get("gpu") or {})
    if gpu:
        driver = f", driver {gpu['driver']}" if gpu.get("driver") else ""
        cuda = f", CUDA {gpu['cuda']}" if gpu.get("cuda") else ""
        text = f"{gpu.get('memory_gb')} GB, {gpu.get('free_gb')} GB of it free{driver}{cuda}"
        yield Row("GPU Memory", text)
    free = data.get("memory_free_gb")
    of_it = f", {free} GB of it free" if free is not None else ""
    yield Row("Memory", f"{data.get('memory_gb') or '?'} GB{of_it}")
    yield Row("Disk", f"{data.get('disk_free_gb')} GB free")
    if data.get("weights_folder"):
        yield Row("Weights Folder", str(data["weights_folder"]))


def _device(data: JsonObject) -> Row:
    kinds = {"cuda": "NVIDIA GPU", "mps": "Apple GPU", "cpu": "Processor", "none": "nothing"}
    device = str(data.get("device", "?"))
    name = str(data.get("device_name") or "")
    text = kinds.get(device, device) + (f", {name}" if name and name != "Apple GPU" else "")
    cores = f", {data['cores']} cores" if device == "cpu" and data.get("cores") else ""
    return Row("Computes on", f"{text}{cores}", "bad" if device == "none" else "good")


def _preset(one: JsonObject) -> Row:
    minutes = float(one.get("minutes") or 0)
    time = f"{minutes:.0f} min" if minutes >= 1.5 else f"{minutes * 60:.0f} s"
    text = f"about {time}, {one.get('memory_gb')} GB for {one.get('photos')} photos of a phone"
    fits = bool(one.get("fits", True))
    name = str(one.get("name", "")).capitalize()
    return Row(name, text if fits else f"{text}: more than is free", "good" if fits else "bad")


def _weights(one: JsonObject) -> Row:
    state = str(one.get("state", "?"))
    where = "" if state == "here" else f"{state}; "
    text = f"{where}{one.get('megabytes')} MB, {one.get('licence')}"
    return Row(str(one.get("name", "?")), text, "good" if state == "here" else "bad")


def _items(data: JsonObject, name: str) -> list[object]:
    found: object = data.get(name)
    return cast("list[object]", found) if isinstance(found, list) else []
