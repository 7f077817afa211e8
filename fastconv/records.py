"""``NamedTuple`` as typing has it, without a look at each field's type.

typing compiles every annotation, which takes 0.3 ms for a record of eight fields; a first call that
plans defines twenty of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from collections import namedtuple

    class _Records(type):
        """Makes the class that follows from a body of fields, defaults and methods."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = [body[field] for field in fields if field in body]
            record = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                if key not in fields and key not in ("__module__", "__qualname__"):
                    setattr(record, key, value)
            return record

    class NamedTuple(metaclass=_Records):
        """What a record is declared from: see `typing.NamedTuple`."""
