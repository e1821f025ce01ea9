"""Inputs that are broken at random, the same ones at every run."""

import json

ODD = [
    None, True, False, 0, 1, -1, 2, 10**30, -(10**18), 0.5, float("nan"), float("inf"), "", "x",
    "de", "a\nb", "\x1b[31m", "\ud800", "y" * 5000, [], {}, [[]], [None], ["de"], [["de"], ["de"]],
    [["de", "es"]], {"de": 1}, {"a": {"b": {}}}, [float("inf")], "0-3,7", "3-0", "0-9,0-9",
    "0-999999998", 999999999, "\u2028", "=1+1",
]  # fmt: skip
"""Values that anything may be replaced by."""


def broken_json(text, source):
    """Return JSON with a few values or characters replaced, dropped, added or doubled."""
    if source.random() < 0.6:
        content = json.loads(text)
        for _ in range(source.randint(1, 3)):
            content = _with_odd_value(content, source)
        return json.dumps(content)
    return broken(text.encode(), source).decode("utf-8", "replace")


def broken(data, source):
    """Return bytes, a few of them replaced, dropped, added or doubled, or cut off."""
    data = bytearray(data)
    for _ in range(source.randint(1, 4)):
        place, end = sorted(source.randrange(len(data) + 1) for _ in range(2))
        way = source.randrange(5)
        if way == 0 and data:
            data[min(place, len(data) - 1)] = source.randrange(256)
        elif way == 1:
            del data[place : min(end, place + 20)]
        elif way == 2:
            data[place:place] = bytes(source.randrange(256) for _ in range(source.randint(1, 9)))
        elif way == 3:
            data[place:place] = data[place : min(end, place + 40)]
        elif source.random() < 0.2:
            del data[end:]
    return bytes(data)


def _with_odd_value(content, source):
    """Replace one value at a random place, or its name."""
    if not isinstance(content, (dict, list)) or not content or source.random() < 0.2:
        return source.choice(ODD)
    if isinstance(content, list):
        place = source.randrange(len(content))
        return [*content[:place], _with_odd_value(content[place], source), *content[place + 1 :]]
    name = source.choice(list(content))
    way = source.random()
    if way < 0.1:
        return {key: value for key, value in content.items() if key != name}
    if way < 0.2:
        return {**content, str(source.choice(ODD)): source.choice(ODD)}
    return {**content, name: _with_odd_value(content[name], source)}
