"""Course shape, early window and growth: what a course looks like, described and never labelled."""

from __future__ import annotations

from alliance.shape.curve import Shape, course_shape
from alliance.shape.mixed import CLOCKS, RANDOM_PARTS, Growth, growth
from alliance.shape.window import EarlyWindow, early_window

__all__ = [
    "CLOCKS",
    "RANDOM_PARTS",
    "EarlyWindow",
    "Growth",
    "Shape",
    "course_shape",
    "early_window",
    "growth",
]
