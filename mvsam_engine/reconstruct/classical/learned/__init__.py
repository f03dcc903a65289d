# SPDX-License-Identifier: GPL-3.0-or-later
"""Second try for photos that SIFT leaves out: learned features and a learned matcher.

Optional: the trained weights are read from packages that a person may install. What this finds is
an offer, never a result: learned matchers also match what is not the same, so a model with these
matches is kept only where the support test says that it is better.
"""

from __future__ import annotations

from mvsam_engine.weights import find_packaged

# Methods by preference, and the weights that each needs. The table in docs/geometry.md says why.
METHODS: dict[str, tuple[str, ...]] = {
    "xfeat": ("xfeat", "xfeat-lighterglue"),
    "aliked": ("aliked-n16", "aliked-lightglue"),
    "disk": ("disk-depth", "disk-lightglue"),
}


def installed_method() -> str | None:
    """The most preferred method whose weights are installed, None when none is."""
    for method, weights in METHODS.items():
        if all(find_packaged(name).locate() is not None for name in weights):
            return method
    return None


def available() -> bool:
    """Whether a second try with learned features is possible here."""
    return installed_method() is not None


def why_not() -> str:
    """Why no second try is possible and what to do; "" when one is."""
    if available():
        return ""
    entry = find_packaged(next(iter(METHODS.values()))[0])
    return (
        "Learned features, a second try for photos that do not fit, are not installed; "
        f"`pip install {entry.install}` in the engine's environment adds them."
    )
