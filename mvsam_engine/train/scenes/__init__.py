# SPDX-License-Identifier: GPL-3.0-or-later
"""Random scenes with exact pointmaps and masks, ray cast on the CPU in a fraction of a second.

`world.make_world` puts objects of many kinds on floors and tables; `cameras.walk_around` says where
photos are taken from; `render.photograph` takes one. Everything follows from one seed.

Convention: world frame Z up, metres; cameras as in `mvsam_engine.capture.conventions`.
"""
