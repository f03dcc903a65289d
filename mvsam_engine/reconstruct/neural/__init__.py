# SPDX-License-Identifier: GPL-3.0-or-later
"""Feed-forward geometry models (DUSt3R and its successors) behind the `Reconstructor` interface.

What a back end adds is small: which pixels it wants, its network, and what its numbers mean
(`answer.GeometryModel`). All else is shared and stands here once: `framing` photos to network
pixels and back, `plan` how many photos at a time on which device, `windows` runs that overlap and
are carried onto each other, `settle` cameras from whatever the model gives, `calibrate`
confidence with our meaning, `reconstructor` the order of it all.
"""
