"""Windows over three and more axes, in bands of any size and however the array is turned."""

import numpy as np
import pytest
from test_ndimage import agree


@pytest.mark.parametrize("work", [1, 200, 1 << 16])
@pytest.mark.parametrize("dtype", ["d", "f", "u1", "i4"])
def test_windows_over_three_axes_of_many_volumes_are_scipys(work, dtype, monkeypatch):
    from fastconv.paths import footprints, ordered_windows, recalled

    recalled._recipes.clear()
    monkeypatch.setattr(ordered_windows, "_WORK", work)
    monkeypatch.setattr(footprints, "_WORK_BYTES", work * np.dtype(dtype).itemsize)
    ordered_windows.plan.cache_clear()
    footprints.plan.cache_clear()
    rng = np.random.default_rng(8)
    w, marks = rng.normal(size=(2, 3, 4)), rng.random((3, 2, 3)) < 0.6
    for shape, axes in (((7, 4, 3, 5), (1, 2, 3)), ((2, 3, 4, 3, 5), (2, 3, 4)),
                        ((4, 3, 5, 2, 3), (0, 1, 2)), ((2, 5, 4, 3, 2), (1, 2, 3))):  # fmt: skip
        x = (rng.normal(size=shape) * 40).astype(dtype)
        for mode in ("reflect", "constant", "mirror", "nearest", "wrap"):
            for name, keywords in (
                ("convolve", {"weights": w, "origin": (0, 1, -2)}),
                ("minimum_filter", {"footprint": marks, "origin": (1, 0, -1)}),
                ("maximum_filter", {"footprint": marks}),
            ):
                agree(name, x, axes=axes, mode=mode, cval=3, **keywords)
    ordered_windows.plan.cache_clear()
    footprints.plan.cache_clear()


@pytest.mark.parametrize("work", [1, 300, 1 << 16])
@pytest.mark.parametrize("dtype", ["d", "f", "u1"])
def test_windows_over_more_axes_are_scipys_however_they_are_turned(work, dtype, monkeypatch):
    from fastconv.paths import footprints, ordered_windows, recalled, window_bands

    recalled._recipes.clear()
    monkeypatch.setattr(ordered_windows, "_WORK", work)
    monkeypatch.setattr(footprints, "_WORK_BYTES", work * np.dtype(dtype).itemsize)
    monkeypatch.setattr(window_bands, "_MANY", 100)
    monkeypatch.setattr(window_bands, "_MANY_ROWS", 10)
    ordered_windows.plan.cache_clear()
    footprints.plan.cache_clear()
    rng = np.random.default_rng(9)
    for shape, size in (
        ((3, 4, 2, 5), (2, 3, 2, 4)), ((4, 20, 3, 2), (3, 2, 1, 3)), ((9, 2, 3, 1), (3, 3, 2, 1)),
        ((2, 3, 2, 3, 2), (2, 1, 2, 3, 1)), ((2, 12, 2, 3, 2), (1, 4, 2, 1, 2)),
        ((70, 4, 3), (3, 2, 2)), ((5, 67, 2), (1, 5, 2)), ((6, 40), (2, 4)), ((40, 6), (2, 4)),
        # Windows of several planes over one.
        ((1, 30, 6), (3, 2, 4)), ((1, 6, 30), (2, 3, 1)), ((2, 1, 9, 5), (1, 3, 2, 2)),
        ((2, 1, 9, 5), (2, 3, 2, 2)), ((40, 1, 5), (3, 2, 1)), ((1, 1, 40), (3, 2, 2)),
        # Axes of one sample.
        ((30, 1), (3, 1)), ((30, 1), (2, 3)), ((4, 9, 1, 1), (1, 2, 2, 1)), ((1, 1, 1), (1, 1, 1)),
    ):  # fmt: skip
        x = (rng.normal(size=shape) * 40).astype(dtype)
        w, marks = rng.normal(size=size), rng.random(size) < 0.7
        origin = [int(rng.integers(-(k // 2), (k - 1) // 2 + 1)) for k in size]
        for mode in ("reflect", "constant", "wrap"):
            for name, keywords in (
                ("correlate", {"weights": w}), ("minimum_filter", {"footprint": marks}),
                ("maximum_filter", {"footprint": marks}),
            ):  # fmt: skip
                for _ in range(2):
                    agree(name, x, mode=mode, cval=3, origin=origin, **keywords)
    ordered_windows.plan.cache_clear()
    footprints.plan.cache_clear()
