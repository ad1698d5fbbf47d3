"""What is wrong in an experiment's file, and what to give instead: one plain line for jsonschema's errors.

Limits and names come from the schema through the error; words for a pattern or a row stand there as ``description``.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jsonschema.exceptions import ValidationError

_KINDS = {
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}
_CHOICES = ("oneOf", "anyOf")
_ITEMS = {"stations": "station", "layers": "layer"}
_LONGEST = 60  # characters of a value: what an operator needs to find it


def fault(errors: Iterable[ValidationError], settings: Mapping[str, Any]) -> str | None:
    """The foremost of jsonschema's ``errors`` about ``settings`` as one line: entry, fault, remedy. None without any.

    Unknown entries come first (a missing entry is often the misspelt one), then what lies least deep.
    """
    relevant = [part for error in errors for part in _relevant(error)]
    if not relevant:
        return None
    foremost = min(relevant, key=lambda error: (error.validator != "additionalProperties", len(error.absolute_path)))
    return _told(foremost, settings)


def place(path: Iterable[str | int], settings: Mapping[str, Any]) -> str:
    """An entry's dotted name; in lists, rows with a code are named by it, others by their number from 1."""
    parts, said, joint = tuple(path), "", ""
    value: Any = settings
    for k, part in enumerate(parts):
        value = _inside(value, part)
        if isinstance(part, int):
            code = _inside(value, "code")
            if isinstance(code, str) and parts[k + 1 :] == ("code",):
                return said  # the code itself is at fault, and named there
            noun = _ITEMS.get(str(parts[k - 1]), "entry")
            said, joint = f"{said}: {_name(code) if isinstance(code, str) else f'{noun} {part + 1}'}", ": "
        else:
            said, joint = f"{said}{joint}{_name(part)}", "."
    return said


def _inside(value: Any, part: str | int) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def _relevant(error: ValidationError) -> Iterator[ValidationError]:
    """The error itself, or those of the one branch of a choice that the value is of the kind of."""
    branches: dict[str | int, list[ValidationError]] = {}
    if error.validator in _CHOICES:
        for part in error.context:
            branches.setdefault(part.relative_schema_path[0], []).append(part)
    near = [parts for parts in branches.values() if not any(map(_of_another_kind, parts))]
    if len(near) != 1:
        yield error
        return
    for part in near[0]:
        yield from _relevant(part)


def _of_another_kind(error: ValidationError) -> bool:
    return not error.relative_path and error.validator in ("type", "const", "enum")


def _told(error: ValidationError, settings: Mapping[str, Any]) -> str:
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        return _unknown(error, path, settings)
    if error.validator == "required":
        path = (*path, next(name for name in error.validator_value if name not in error.instance))
    where = place(path, settings)
    if error.validator == "pattern":
        words = error.schema.get("description", f"give what the pattern {error.validator_value} allows")
        return f"{where}: {error.instance!r}: {words}"
    in_row = isinstance(path[-1], str) and any(isinstance(part, int) for part in path)
    return f"{where}{' ' if in_row else ': '}{_predicate(error)}"


def _unknown(error: ValidationError, path: tuple[str | int, ...], settings: Mapping[str, Any]) -> str:
    known = list(error.schema.get("properties", {}))
    name = next(name for name in error.instance if name not in known)
    near = difflib.get_close_matches(name.lower(), known, n=1)
    kind = "section" if not path and isinstance(error.instance[name], dict) else "setting"
    advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"{place((*path, name), settings)}: there is no such {kind}; {advice}"


def _predicate(error: ValidationError) -> str:
    """Fault and remedy, as said after the entry's name."""
    keyword, wanted = error.validator, error.validator_value
    if keyword == "required":
        return "is missing; give it"
    if keyword in ("minItems", "maxItems"):
        return f"{_length(error.instance, error.schema)}; give {_how_many(error)}"
    if keyword == "uniqueItems":
        return "names one entry twice; give each once"
    if keyword in _LIMITS:
        return f"is {_value(error.instance)}; give {_LIMITS[keyword]} {wanted}"
    if keyword in ("type", "enum", "const"):
        return f"is {_value(error.instance)}; give {_asked(error.schema)}"
    if keyword == "minLength":
        return f"is {_value(error.instance)}; give a text of at least {_counted(wanted, 'character')}"
    if keyword in _CHOICES:
        names = [" and ".join(branch.get("required", ())) for branch in wanted]
        if all(names) and not any("type" in branch for branch in wanted):
            return f"give either {' or '.join(names)}{'' if error.context else ', not both'}"
        return f"is {_value(error.instance)}; give {' or '.join(_asked(branch) for branch in wanted)}"
    return " ".join(error.message.split())


def _length(items: Sequence[Any], schema: Mapping[str, Any]) -> str:
    return f"has {_counted(len(items), _noun(schema))}" if items else "is empty"


def _how_many(error: ValidationError) -> str:
    schema = error.schema
    if "description" in schema:
        return str(schema["description"])
    if schema.get("minItems") == schema.get("maxItems"):
        return str(error.validator_value)
    return f"at {'least' if error.validator == 'minItems' else 'most'} {error.validator_value}"


def _asked(schema: Mapping[str, Any]) -> str:
    """What a schema takes, in a few words."""
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    kind = schema.get("type")
    kinds = [kind] if isinstance(kind, str) else list(kind or ())
    asked = " or ".join(_KINDS.get(name, name) for name in kinds)
    if kind == "object" and schema.get("required"):
        return f"{asked} with {', '.join(schema['required'])}"
    if kind == "array" and "description" in schema:
        return f"{asked} of {schema['description']}"
    if kind == "array" and "maxItems" in schema and schema.get("minItems") == schema["maxItems"]:
        return f"{asked} of {_counted(schema['maxItems'], _noun(schema))}"
    return asked


def _noun(schema: Mapping[str, Any]) -> str:
    return "number" if schema.get("items", {}).get("type") in ("number", "integer") else "entry"


def _counted(count: int, noun: str) -> str:
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def _name(name: str) -> str:
    """A name as it stands, or in quotes where it could be misread or break the line."""
    return name if re.fullmatch(r"[\w.-]+", name) else repr(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    said = repr(value) if isinstance(value, str) else str(value)
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
