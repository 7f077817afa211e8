"""Windows by doubling: log4(k) passes over a chunk that stays in the first cache.

The window of 4r samples is four windows of r samples side by side, each sample's neighbours met in
whole vectors. No sum is ever taken back, so nothing drifts and a NaN stays within its windows; a
sum of k samples errs by at most gamma_(k-1) relative to the sum of magnitudes, as in any order.
"""

from __future__ import annotations

from typing import Any

from ..runtime.jit import inline
from ..runtime.target import Target
from .window_lanes import BOX
from .window_stage import make_stage


def make_doubling(target: Target, dtype: str, op: int) -> Any:
    """Return ``doubling(x, xi, out, oi, count, work, wi, k, step)``: one chunk of outputs.

    Assumes: work has count + (k - 1)*step elements from wi; out may be work at wi.
    """
    one = make_stage(target, dtype, op, 1, 0)
    two = make_stage(target, dtype, op, 2, 0)
    three = make_stage(target, dtype, op, 3, 0)
    four = make_stage(target, dtype, op, 4, 0)
    if op != BOX:

        @inline
        def extremes(
            x: Any, xi: int, out: Any, oi: int, count: int, work: Any, wi: int, k: int, step: int
        ) -> None:
            # Windows may overlap: the last of them ends where the whole one does.
            reach, whole = 1, (k - 1) * step
            if k == 1:
                one(x, xi, 0, 0, x, xi, 0, out, oi, count)
                return
            while reach < k:
                further = min(4 * reach, k)
                terms = (further + reach - 1) // reach
                shift, last = reach * step, (further - reach) * step
                width = count + whole - (further - 1) * step
                goal, gi = (out, oi) if further == k else (work, wi)
                source, si = (x, xi) if reach == 1 else (work, wi)
                if terms == 2:
                    two(source, si, shift, last, x, xi, 0, goal, gi, width)
                elif terms == 3:
                    three(source, si, shift, last, x, xi, 0, goal, gi, width)
                else:
                    four(source, si, shift, last, x, xi, 0, goal, gi, width)
                reach = further

        return extremes

    four1 = make_stage(target, dtype, op, 4, 1)
    four2 = make_stage(target, dtype, op, 4, 2)
    four3 = make_stage(target, dtype, op, 4, 3)

    @inline
    def sums(
        x: Any, xi: int, out: Any, oi: int, count: int, work: Any, wi: int, k: int, step: int
    ) -> None:
        # The digits of k to base 4, highest first: 4r + d samples are four windows of r and d more.
        power = 1
        while 4 * power <= k:
            power *= 4
        reach, whole = k // power, (k - 1) * step
        if reach > 1 or power == 1:
            width = count + whole - (reach - 1) * step
            goal, gi = (out, oi) if power == 1 else (work, wi)
            if reach == 1:
                one(x, xi, 0, 0, x, xi, 0, goal, gi, width)
            elif reach == 2:
                two(x, xi, step, step, x, xi, 0, goal, gi, width)
            else:
                three(x, xi, step, 2 * step, x, xi, 0, goal, gi, width)
        while power > 1:
            power //= 4
            digit = k // power % 4
            shift, beyond = reach * step, xi + 4 * reach * step
            source, si = (x, xi) if reach == 1 else (work, wi)
            reach = 4 * reach + digit
            goal, gi = (out, oi) if power == 1 else (work, wi)
            width = count + whole - (reach - 1) * step
            if digit == 0:
                four(source, si, shift, 3 * shift, x, xi, step, goal, gi, width)
            elif digit == 1:
                four1(source, si, shift, 3 * shift, x, beyond, step, goal, gi, width)
            elif digit == 2:
                four2(source, si, shift, 3 * shift, x, beyond, step, goal, gi, width)
            else:
                four3(source, si, shift, 3 * shift, x, beyond, step, goal, gi, width)

    return sums
