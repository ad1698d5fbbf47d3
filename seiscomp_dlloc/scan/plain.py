"""Frozen records as JSON and back, without loss."""

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")


def to_json(record: Any) -> str:
    """A dataclass of plain values, tuples, arrays and further dataclasses. Floats keep all digits, and may be NaN."""
    return json.dumps(record, default=_plain, ensure_ascii=True)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no place in a record")


def from_json(kind: type[T], text: str) -> T:
    """The record of class ``kind`` that :func:`to_json` wrote; ValueError where ``text`` is none."""
    try:
        made: T = _made(kind, json.loads(text))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"is no {kind.__name__}: {error}") from error
    return made


def _made(kind: Any, value: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (kind,) = (part for part in parts if part is not type(None))
        return _made(kind, value)
    if origin is tuple:
        inner = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_made(part, item) for part, item in zip(inner, value, strict=True))
    if origin in (dict, Mapping):
        return {_made(parts[0], key): _made(parts[1], item) for key, item in value.items()}
    if kind is np.ndarray or origin is np.ndarray:
        return np.asarray(value, float)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _made(hints[name], item) for name, item in value.items()})  # type: ignore[operator]
    if origin is Literal:
        if value not in parts:
            raise TypeError(f"{value!r} is none of {parts}")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
