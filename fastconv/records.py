"""``NamedTuple`` as typing has it, in a fifth of the time that its classes take to define.

typing compiles every annotation and collections a constructor for each class, 0.1 to 0.5 ms each; a
first call that plans defines twenty of them. Here all records of as many fields share one code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    from operator import itemgetter
    from types import FunctionType

    try:  # What collections.namedtuple reads its fields with.
        from _collections import _tuplegetter as _field
    except ImportError:

        def _field(index, doc):
            return property(itemgetter(index), doc=doc)

    class _Record(tuple):
        """What all records can do."""

        __slots__ = ()
        _fields = ()

        @classmethod
        def _make(cls, values):
            """Return a record of these values."""
            record = tuple.__new__(cls, values)
            if len(record) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, got {len(record)}")
            return record

        def _replace(self, /, **changes):
            """Return a record with some values changed."""
            record = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"{type(self).__name__} has no fields {list(changes)}")
            return record

        def _asdict(self):
            """Return the values by name."""
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            values = ", ".join(f"{name}={value!r}" for name, value in self._asdict().items())
            return f"{type(self).__name__}({values})"

    _new = tuple.__new__
    # To compile one takes 0.1 ms; these come compiled.
    _CONSTRUCTORS = {
        2: lambda cls, a, b: _new(cls, (a, b)),
        3: lambda cls, a, b, c: _new(cls, (a, b, c)),
        4: lambda cls, a, b, c, d: _new(cls, (a, b, c, d)),
        5: lambda cls, a, b, c, d, e: _new(cls, (a, b, c, d, e)),
        6: lambda cls, a, b, c, d, e, f: _new(cls, (a, b, c, d, e, f)),
        7: lambda cls, a, b, c, d, e, f, g: _new(cls, (a, b, c, d, e, f, g)),
        8: lambda cls, a, b, c, d, e, f, g, h: _new(cls, (a, b, c, d, e, f, g, h)),
        9: lambda cls, a, b, c, d, e, f, g, h, i: _new(cls, (a, b, c, d, e, f, g, h, i)),
        10: lambda cls, a, b, c, d, e, f, g, h, i, j: _new(cls, (a, b, c, d, e, f, g, h, i, j)),
    }

    def _constructor(count):
        if count not in _CONSTRUCTORS:
            names = ", ".join(f"v{index}" for index in range(count))
            made = eval(f"lambda cls, {names}: _new(cls, ({names},))", {"_new": _new})
            _CONSTRUCTORS[count] = made
        return _CONSTRUCTORS[count]

    class _Records(type):
        """Makes the class that follows from a body of fields, defaults and methods."""

        def __new__(cls, name, bases, body):
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            shared = _constructor(len(fields))
            code = shared.__code__.replace(
                co_varnames=("cls", *fields), co_name="__new__", co_qualname=f"{name}.__new__"
            )
            new = FunctionType(code, shared.__globals__, "__new__", tuple(defaults.values()))
            getters = {field: _field(index, field) for index, field in enumerate(fields)}
            known = {"_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
            known |= {"__slots__": (), "__new__": new}
            return type(name, (_Record,), body | getters | known)

    class NamedTuple(metaclass=_Records):
        """What a record is declared from: see `typing.NamedTuple`."""
