"""What an array is to a kernel while Numba compiles it: an address and a count.

Numba's own arrays carry five more fields, a parent and strides among them, through every call: a
tenth of a build.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, models, register_model, type_callable


class Memory(types.Type):
    """Contiguous elements of one dtype, a Numba type."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Memory({dtype})")


@register_model(Memory)
class _Model(models.StructModel):
    def __init__(self, manager: Any, kind: Memory) -> None:
        fields = [("data", types.CPointer(kind.dtype)), ("count", types.intp)]
        super().__init__(manager, kind, fields)


def data(builder: Any, value: Any) -> Any:
    """Return the LLVM address of the first element."""
    return builder.extract_value(value, 0)


def memory(context: Any, builder: Any, kind: Memory, address: Any, count: int) -> Any:
    """Return the LLVM value of `count` elements at an address."""
    value = cgutils.create_struct_proxy(kind)(context, builder)
    value.data, value.count = address, context.get_constant(types.intp, count)
    return value._getvalue()


@type_callable(len)
def _type_len(context: Any) -> Any:
    return lambda kind: types.intp if isinstance(kind, Memory) else None


@lower_builtin(len, Memory)
def _lower_len(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return builder.extract_value(args[0], 1)
