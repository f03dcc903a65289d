# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of the geometry models, written anew with the published names of their tensors.

Written from the papers (DINOv2 arXiv 2304.07193, DPT 2103.13413, VGGT 2503.11651, pi-3 2507.13347,
Depth Anything 3 2511.10647) and held against the authors' code with the same random tensors:
docs/models.md has the differences. Importing any module here imports torch.
"""
