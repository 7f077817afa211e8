"""fastconv: NumPy's and SciPy's convolutions, compiled.

Importing it compiles nothing and imports neither Numba nor SciPy; what is not `convolve` or
`correlate` is imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .numpy_api import choose_method, convolve, correlate, explain
from .runtime.settings import policy, set_workers

if TYPE_CHECKING:
    from . import ndimage, nn, signal
    from .power import convolve_power
    from .prepared import prepare
    from .runtime.warmup import warmup
    from .signal import convolve2d, correlate2d

__all__ = [
    "choose_method",
    "convolve",
    "convolve2d",
    "convolve_power",
    "correlate",
    "correlate2d",
    "explain",
    "ndimage",
    "nn",
    "policy",
    "prepare",
    "set_workers",
    "signal",
    "warmup",
]
__version__ = "0.1.0"

# Each public name that is imported on demand, and the module that it is or comes from.
_LAZY = {
    "convolve2d": "signal",
    "convolve_power": "power",
    "prepare": "prepared",
    "correlate2d": "signal",
    "ndimage": "ndimage",
    "nn": "nn",
    "signal": "signal",
    "warmup": "runtime.warmup",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_LAZY[name]}", __name__)
    found = module if name == _LAZY[name] else getattr(module, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
