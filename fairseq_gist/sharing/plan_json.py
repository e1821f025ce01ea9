"""What the JSON of a sharing plan looks like, before what it says is looked at."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from fairseq_gist.errors import PlanError

__all__ = ["SCHEMA", "read_layout"]

SCHEMA = 1
"""Version of the JSON layout; a reader refuses newer ones."""


def read_layout(text: str, source: str) -> Dict[str, Any]:
    """Return the content of a plan's JSON; ``source`` names it in errors.

    Raises:
        PlanError: when it isn't JSON, of another schema, or a part is missing or of another kind.
    """
    try:
        content = json.loads(text, object_pairs_hook=_no_duplicates)
    except PlanError as error:
        raise PlanError(f"{source}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise PlanError(f"{source}: not JSON ({error})") from None
    _check_layout(content, source)
    return dict(content)


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    content: Dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise PlanError(f"'{key}' is listed twice")
        content[key] = value
    return content


def _check_layout(content: Any, source: str) -> None:
    if not isinstance(content, dict):
        raise PlanError(f"{source}: expected a JSON object, found {type(content).__name__}")
    schema = content.get("schema")
    if schema != SCHEMA:
        raise PlanError(
            f"{source}: expected schema {SCHEMA}, found {schema!r}; it is not a sharing plan, or "
            "one of a newer fairseq-gist"
        )
    for key, kind, name in (("languages", list, "array"), ("units", dict, "object")):
        if key not in content:
            raise PlanError(f"{source}: '{key}' is missing")
        if not isinstance(content[key], kind):
            raise PlanError(f"{source}: '{key}' must be a JSON {name}, found {content[key]!r}")
    if not all(isinstance(language, str) for language in content["languages"]):
        raise PlanError(f"{source}: 'languages' must be names, found {content['languages']!r}")
    for key in ("provenance", "divisions"):
        if not isinstance(content.get(key, {}), dict):
            raise PlanError(f"{source}: '{key}' must be a JSON object")
    _check_sizes(content.get("provenance", {}), source)


def _check_sizes(provenance: Dict[str, Any], source: str) -> None:
    """Raise PlanError where what readers calculate with is no number of parameters."""
    sizes = provenance.get("unit_parameters")
    if not isinstance(sizes, (dict, type(None))):
        raise PlanError(
            f"{source}: provenance 'unit_parameters' must be an object, found {sizes!r}"
        )
    shared = {"shared_parameters": provenance.get("shared_parameters")}
    for name, size in {**shared, **(sizes or {})}.items():
        if size is None and name in shared:
            continue
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise PlanError(
                f"{source}: provenance: expected a number of parameters of '{name}', found {size!r}"
            )
