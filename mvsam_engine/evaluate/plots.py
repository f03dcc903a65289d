# SPDX-License-Identifier: GPL-3.0-or-later
"""Plots that need matplotlib: the extra ``plots``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mvsam_engine.errors import MvsamError
from mvsam_engine.evaluate.outcome import Outcome


def load_pyplot(what: str) -> Any:
    """Matplotlib without a window.

    Args:
        what: is to be drawn, for the error: "the reliability plot".

    Raises:
        MvsamError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise MvsamError(
            "evaluate.plots",
            f"{what.capitalize()} is left out, since matplotlib is not installed.",
            "Install it with: pip install 'mvsam-engine[plots]'",
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw_reliability(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Stated confidence against the share that is within 1 %, one line for each set.

    Below it, how many pixels have that confidence. Runs of the same set with several seeds count
    together.

    Raises:
        MvsamError: matplotlib is not installed.
    """
    counts: dict[str, Any] = {}
    for o in outcomes:
        if o.calibration is not None:
            name = f"{o.set}, {o.photos} photos"
            counts[name] = counts.get(name, 0) + np.array(o.calibration, float)
    if not counts:
        return
    pyplot = load_pyplot("the reliability plot")
    figure, (upper, lower) = pyplot.subplots(
        2, 1, sharex=True, figsize=(6.4, 6.4), height_ratios=(3, 1), layout="constrained"
    )
    middles = np.arange(10) / 10 + 0.05
    upper.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="stated = true")
    for name, (count, right) in counts.items():
        share = np.where(count > 0, right / np.maximum(count, 1), np.nan)
        (line,) = upper.plot(middles, share, marker="o", label=name)
        lower.step(middles, count / count.sum(), where="mid", color=line.get_color())
    upper.set(ylabel="within 1 % of the true depth", xlim=(0, 1), ylim=(0, 1))
    lower.set(xlabel="stated confidence", ylabel="of pixels", ylim=(0, None))
    upper.legend(fontsize=8)
    upper.grid(color="0.9")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
