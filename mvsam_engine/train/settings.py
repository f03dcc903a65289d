# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a training run as a person writes them, and the network that it starts from."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mvsam_engine.errors import UsageError, WeightsError
from mvsam_engine.segment.network import Config, MVSam
from mvsam_engine.segment.network_file import read_network
from mvsam_engine.segment.sam import Sam
from mvsam_engine.train.noise import NoiseOptions

# Chances and shares cannot grow beyond these.
MOST_HOLES, MOST_BROKEN = 0.9, 1.0


def parse_config(text: str, base: Config | None = None) -> Config:
    """Settings of the network from ``code=3d,views=full,presence=no``.

    Args:
        text: names and values; may be empty.
        base: what the others are.

    Raises:
        UsageError: a name or a value is not known, or they do not fit each other.
    """
    base = base or Config()
    hints = get_type_hints(Config)
    values: dict[str, Any] = {}
    for part in text.split(",") if text.strip() else []:
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or name not in hints:
            raise UsageError(
                "usage.config",
                f"{part.strip()!r} is no setting of the network.",
                f"Write name=value; names are {', '.join(f.name for f in fields(Config))}.",
            )
        values[name] = _value(name, value, hints[name])
    try:
        return replace(base, **values)
    except ValueError as error:
        raise UsageError("usage.config", f"This network cannot be built: {error}") from error


def _value(name: str, text: str, kind: Any) -> Any:
    """A setting of a known type from its text."""
    if get_origin(kind) is Literal:
        allowed = [str(choice) for choice in get_args(kind)]
        found = text if text in allowed else None
    elif kind is bool:
        allowed = ["yes", "no"]
        found = {"yes": True, "true": True, "no": False, "false": False}.get(text.lower())
    else:
        allowed = ["a whole number" if kind is int else "a number"]
        try:
            found = kind(text)
        except ValueError:
            found = None
    if found is None:
        raise UsageError(
            "usage.config",
            f"{name} cannot be {text!r}.",
            f"It is {', '.join(allowed[:-1])}{' or ' if len(allowed) > 1 else ''}{allowed[-1]}.",
        )
    return found


def scaled_noise(scale: float) -> NoiseOptions:
    """The usual errors of pointmaps, `scale` times as large; 0 leaves them exact.

    Raises:
        UsageError: it is negative.
    """
    if scale < 0:
        raise UsageError(
            "usage.noise", f"Noise of scale {scale} is no choice.", "It is at least 0."
        )
    usual = NoiseOptions()
    return replace(
        usual,
        grain=usual.grain * scale,
        edge=round(usual.edge * scale),
        holes=min(usual.holes * scale, MOST_HOLES),
        guessed=usual.guessed if scale > 0 else 0.0,
        pose=usual.pose * scale,
        broken=min(usual.broken * scale, MOST_BROKEN),
    )


def first_network(sam: Sam, config: str, start: Path | None) -> MVSam:
    """The network before training: SAM's decoder, or one that was trained before.

    Args:
        sam: gives the decoder.
        config: settings as written; those of `start` unless they say otherwise.
        start: a file that `network_file.write_network` wrote, None for SAM.

    Raises:
        UsageError: the settings cannot be used.
        WeightsError: the file cannot be read, or holds another network.
    """
    if start is None:
        return MVSam.from_sam(sam, parse_config(config))
    stored = read_network(start, sam)
    wanted = parse_config(config, stored.config)
    network = MVSam.from_sam(sam, wanted)
    try:
        network.load_state_dict(stored.state_dict())
    except RuntimeError as error:
        raise WeightsError(
            "train.start",
            f"The network in {start.name} cannot be given the settings {config!r}.",
            "Leave out --config to take the settings that it was trained with.",
        ) from error
    return network
