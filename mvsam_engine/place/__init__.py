# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the world where a person wants it: upright, on the ground, to scale.

Photos know no scale and only roughly which way is up. Everything here is asked for explicitly and
ends as one `Placement` in the capture; cameras and pointmaps stay as they are.

    samples   trusted points with their normals, from all pointmaps
    ground    the dominant horizontal plane, and how sure it is
    confirm   other photos' word on a point that is measured from
    scale     measured lengths to one factor, with what each of them contradicts
    world     a person's wish to a placement
    carry     an old placement onto a new reconstruction
"""
