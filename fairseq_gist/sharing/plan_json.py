"""What the JSON of a sharing plan looks like: written, read, and brought up to date when old."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Tuple

from fairseq_gist.errors import PlanError

__all__ = ["SCHEMA", "check_update", "read_layout", "write_layout"]

SCHEMA = 2
"""Version of the JSON layout that is written; a reader refuses newer ones."""

_OLDEST = 1

_LARGEST = 1 << 62
"""More than any number of parameters or updates."""

_KINDS = {
    "languages": (list, "array"),
    "units": (dict, "object"),
    "provenance": (dict, "object"),
    "divisions": (dict, "object"),
    "low_rank": (dict, "object"),
    "sizes": (dict, "object"),
    "blocks": (dict, "object"),
    "history": (list, "array"),
    "default": (bool, "true or false"),
}


def write_layout(head: Mapping[str, Any], units: Mapping[str, Any]) -> str:
    """Return JSON that a person can read and edit, one field a line, and one unit a line.

    Args:
        head: every field but ``schema`` and ``units``, in their order.
        units: name -> groups.
    """
    own = ",\n".join(
        f"    {json.dumps(unit)}: {json.dumps(groups)}" for unit, groups in units.items()
    )
    lines = ",\n".join(
        f"  {json.dumps(key)}: {json.dumps(value)}"
        for key, value in {"schema": SCHEMA, **head}.items()
    )
    return f'{{\n{lines},\n  "units": {{\n{own}\n  }}\n}}\n'


def read_layout(text: str) -> Dict[str, Any]:
    """Return the content of a plan's JSON as of today's schema.

    Raises:
        PlanError: when it isn't JSON, of another schema, or a part is missing or of another kind.
    """
    try:
        content = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise PlanError(f"not JSON ({error})") from None
    if _schema_of(content) == 1:
        content = _from_schema_1(content)
    _check_layout(content)
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:  # JSON can say it, and no file or terminal can show it
        raise PlanError(f"expected characters, found half of one ({error.reason})") from None
    return dict(content)


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    content: Dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise PlanError(f"'{key}' is listed twice")
        content[key] = value
    return content


def _schema_of(content: Any) -> int:
    if not isinstance(content, dict):
        raise PlanError(f"expected a JSON object, found {type(content).__name__}")
    schema = content.get("schema")
    if type(schema) is not int or not _OLDEST <= schema <= SCHEMA:
        raise PlanError(
            f"expected schema {_OLDEST} to {SCHEMA}, found {schema!r}; it is not a sharing plan, "
            "or one of a newer fairseq-gist"
        )
    return schema


def _from_schema_1(content: Mapping[str, Any]) -> Dict[str, Any]:
    """Return what was in the provenance then, and is a field now, where it belongs.

    What a person wrote under the same names, of another kind, was never read and stays prose.
    """
    provenance = content.get("provenance", {})
    if not isinstance(provenance, dict):
        raise PlanError("'provenance' must be a JSON object")
    new, prose = {**content, "schema": SCHEMA}, dict(provenance)
    sizes = prose.pop("unit_parameters", None)
    if sizes is not None:
        new["sizes"] = sizes
    shared = prose.pop("shared_parameters", None)
    if shared is not None:
        new["shared_parameters"] = shared
    if type(prose.get("update")) is int:
        new["update"] = prose.pop("update")
        new["history"] = prose.pop("history", [])
    blocks = prose.get("blocks")
    if isinstance(blocks, dict) and all(isinstance(found, dict) for found in blocks.values()):
        new["blocks"] = prose.pop("blocks")
    if prose.get("policy") == "adapters":
        new["default"] = True
    if sizes is not None and shared is not None:
        prose.pop("parameters", None)  # they follow from these
    return {**new, "provenance": prose}


def _check_layout(content: Mapping[str, Any]) -> None:
    for key in ("languages", "units"):
        if key not in content:
            raise PlanError(f"'{key}' is missing")
    for key, (kind, name) in _KINDS.items():
        if key in content and not isinstance(content[key], kind):
            raise PlanError(f"'{key}' must be a JSON {name}, found {content[key]!r}")
    if not all(isinstance(language, str) for language in content["languages"]):
        raise PlanError(f"'languages' must be names, found {content['languages']!r}")
    _check_sizes(content)
    if "update" in content:
        check_update(content["update"])
    for first, found in content.get("blocks", {}).items():
        if not isinstance(found, dict):
            raise PlanError(f"'blocks' of '{first}' must be a JSON object, found {found!r}")


def check_update(found: Any) -> int:
    """Return a number of updates, or raise PlanError where it is none."""
    if type(found) is not int or not 0 <= found < _LARGEST:
        raise PlanError(f"'update' must be a number of updates, found {found!r}")
    return int(found)


def _check_sizes(content: Mapping[str, Any]) -> None:
    sizes = dict(content.get("sizes", {}))
    if "shared_parameters" in content:
        sizes["shared_parameters"] = content["shared_parameters"]
    for name, size in sizes.items():
        if type(size) is not int or not 0 <= size < _LARGEST:
            raise PlanError(f"expected a number of parameters of '{name}', found {size!r}")
