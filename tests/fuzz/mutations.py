"""Broken variants of a valid JSON body: changes at places of its tree, and changes of its bytes.

A change is a few small numbers (`Cut`), so that Hypothesis can make it smaller. Text that no JSON library would write
(halves of surrogate pairs, numbers beyond measure, a key given twice) is put in verbatim.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

Path = tuple[str | int, ...]


class Verbatim(NamedTuple):
    """Stands in a tree for this JSON text, which need not be JSON."""

    text: str


class Pairs(NamedTuple):
    """An object whose keys are JSON texts, and may repeat."""

    pairs: tuple[tuple[str, Any], ...]


class Cut(NamedTuple):
    """`place` and `choice` are taken modulo what there is."""

    kind: str
    place: int
    choice: int


_DEEP = 300
VALUES = (
    *(
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1",
        "2.5",
        "-0.0",
        "1e400",
        "-1e400",
        "9" * 400,
        "9" * 5000,
        "-9223372036854775809",
    ),
    *("18446744073709551616", "9007199254740993", "1e308", "5e-324", "NaN", "Infinity", "tru", "01", "0x1", "'x'", ""),
    *(
        '""',
        '"x"',
        '" "',
        '"\\ud800"',
        '"a\\udc00b"',
        '"\\ud83d\\ude00"',
        '"\\u0000"',
        '"\n"',
        '"\\x"',
        '"\\u12"',
        '"open',
    ),
    *('"%s"' % ("y" * 300), '"x\\r\\nX-Evil: 1"', '"../../x?y#z"', '"ä€😀"', '"\u2028"'),
    *("[]", "{}", "[[]]", "[null]", "[{}]", "[1]", '[""]', '{"":null}', '{"type":null}', '{"type":"text"}', "[{},{}]"),
    *("[" * _DEEP + "]" * _DEEP, '{"a":' * _DEEP + "1" + "}" * _DEEP, "[" * 20_000, "[" * 120 + "]" * 120),
    *(
        '"data:"',
        '"data:,"',
        '"data:image/png;base64,"',
        '"data:image/png;base64,!!!!"',
        '"data:text/plain,hello"',
        '"DATA:IMAGE/PNG;BASE64,AAAA"',
    ),
    *(
        '"http://"',
        '"https://"',
        '"ftp://x/y"',
        '"file:///etc/passwd"',
        '"gs://bucket/x"',
        '"not base64"',
        '"AAA"',
        '"AA=A"',
        '"_-_-"',
    ),
    *(
        '"user"',
        '"assistant"',
        '"system"',
        '"developer"',
        '"tool"',
        '"model"',
        '"function"',
        '"text"',
        '"image"',
        '"image_url"',
        '"document"',
    ),
    *(
        '"tool_use"',
        '"tool_result"',
        '"function_call"',
        '"function_call_output"',
        '"reasoning"',
        '"thinking"',
        '"redacted_thinking"',
    ),
    *(
        '"file"',
        '"input_audio"',
        '"auto"',
        '"none"',
        '"any"',
        '"required"',
        '"ANY"',
        '"json_schema"',
        '"base64"',
        '"url"',
        '"object"',
    ),
    *(
        '"image/png"',
        '"application/pdf"',
        '"text/plain"',
        '"audio/wav"',
        '"video/mp4"',
        '"x"',
        '"call_1"',
        '"{}"',
        '"["',
        '"{\\"a\\":1e999}"',
        json.dumps('{"a":"\\ud800"}'),
        json.dumps('{"a":' * _DEEP + "1" + "}" * _DEEP),
    ),
)
KINDS = (
    "set",
    "delete",
    "unknown",
    "twice",
    "rename",
    "graft",
    "repeat",
    "reverse",
    "empty",
    "wrap",
    "unwrap",
    "escape",
    "drop_last",
)
BYTE_KINDS = ("insert", "remove", "flip", "truncate", "prefix", "suffix", "utf16")
_BYTES = (
    b"\x00",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf8\x88\x80\x80\x80",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"\n",
    b"\xef\xbb\xbf",
    b"//",
    b"\\ud83d",
    b"\x1f",
    b"\r\n\r\n",
)

cuts = st.builds(Cut, st.sampled_from(KINDS), st.integers(0, 400), st.integers(0, len(VALUES) * 3))
byte_cuts = st.builds(Cut, st.sampled_from(BYTE_KINDS), st.integers(0, 4000), st.integers(0, 255))
few_cuts = st.lists(cuts, min_size=1, max_size=4)
few_byte_cuts = st.lists(byte_cuts, min_size=1, max_size=3)


def mutated(tree: Any, changes: Sequence[Cut]) -> Any:
    """A changed copy; `tree` stays as it is."""
    tree = json.loads(json.dumps(tree))
    for cut in changes:
        tree = _changed(tree, cut)
    return tree


def dump(tree: Any) -> bytes:
    return _text(tree).encode("utf-8", "surrogatepass")


def mutated_bytes(body: bytes, changes: Sequence[Cut]) -> bytes:
    for cut in changes:
        at = cut.place % (len(body) + 1)
        token = _BYTES[cut.choice % len(_BYTES)]
        match cut.kind:
            case "insert":
                body = body[:at] + token + body[at:]
            case "remove":
                body = body[:at] + body[at + 1 + cut.choice % 8 :]
            case "flip":
                body = body[:at] + bytes(byte ^ (1 << cut.choice % 8) for byte in body[at : at + 1]) + body[at + 1 :]
            case "truncate":
                body = body[:at]
            case "prefix":
                body = token + body
            case "suffix":
                body = body + token
            case "utf16":
                body = body.decode("utf-8", "replace").encode("utf-16")
    return body


def _text(node: Any) -> str:
    match node:
        case Verbatim(text=text):
            return text
        case Pairs(pairs=pairs):
            return "{" + ",".join(f"{key}:{_text(value)}" for key, value in pairs) + "}"
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{_text(value)}" for key, value in node.items()) + "}"
        case list():
            return "[" + ",".join(map(_text, node)) + "]"
    return json.dumps(node, ensure_ascii=False)


def places(node: Any, path: Path = ()) -> list[Path]:
    found: list[Path] = [path]
    if isinstance(node, dict):
        for key, value in node.items():
            found += places(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found += places(value, (*path, number))
    return found


def at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def _with(tree: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    at(tree, path[:-1])[path[-1]] = value
    return tree


def _changed(tree: Any, cut: Cut) -> Any:
    found = places(tree)
    path = found[cut.place % len(found)]
    node = at(tree, path)
    if cut.kind == "delete":
        if path:
            del at(tree, path[:-1])[path[-1]]
        return tree
    if cut.kind == "graft":
        other = json.loads(_text(at(tree, found[cut.choice % len(found)])) or "null") if _is_plain(tree) else None
        return _with(tree, path, other)
    if isinstance(node, dict) and cut.kind in _OF_OBJECTS:
        return _with(tree, path, _OF_OBJECTS[cut.kind](node, cut.choice))
    if isinstance(node, list) and cut.kind in _OF_LISTS:
        return _with(tree, path, _OF_LISTS[cut.kind](node, cut.choice))
    return _with(tree, path, _OF_ALL.get(cut.kind, _set)(node, cut.choice))


def _is_plain(node: Any) -> bool:
    if isinstance(node, Verbatim | Pairs):
        return False
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return all(map(_is_plain, inner))


def _set(node: Any, choice: int) -> Any:
    return Verbatim(VALUES[choice % len(VALUES)])


def _items(node: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(json.dumps(key), value) for key, value in node.items()]


def _twice(node: dict[str, Any], choice: int) -> Any:
    items = _items(node)
    key = items[choice % len(items)][0] if items else '"x"'
    return Pairs((*items, (key, _set(None, choice))))


def _unknown(node: dict[str, Any], choice: int) -> Any:
    names = ("surprise", "x\r\nEvil: 1", "", "ä", "__proto__", "a.b[0]", "model", "stream", "n" * 300, "messages")
    return node | {names[choice % len(names)]: Verbatim(VALUES[choice // len(names) % len(VALUES)])}


def _rename(node: dict[str, Any], choice: int) -> Any:
    if not node:
        return node
    key = list(node)[choice % len(node)]
    snake = "".join("_" + each.lower() if each.isupper() else each for each in key)
    camel = key.split("_")[0] + "".join(each.title() for each in key.split("_")[1:])
    new = next(name for name in (snake, camel, key.upper(), key + "x") if name != key)
    return {new if name == key else name: value for name, value in node.items()}


def _escape(node: dict[str, Any], choice: int) -> Any:
    """One key written with escapes, which any reader must take for the same key; or with one that is none."""
    items = _items(node)
    if not items:
        return Pairs((('"\\ud800"', 1),))
    number = choice % len(items)
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in list(node)[number] if ord(letter) < 0x10000)
    items[number] = (f'"{escaped}"', items[number][1])
    return Pairs(tuple(items))


_OF_OBJECTS: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "unknown": _unknown,
    "twice": _twice,
    "rename": _rename,
    "escape": _escape,
    "empty": lambda node, choice: {},
    "drop_last": lambda node, choice: dict(list(node.items())[:-1]),
    "unwrap": lambda node, choice: next(iter(node.values()), None),
}
_OF_LISTS: dict[str, Callable[[list[Any], int], Any]] = {
    "repeat": lambda node, choice: node * (2 + choice % 3),
    "reverse": lambda node, choice: node[::-1],
    "empty": lambda node, choice: [],
    "drop_last": lambda node, choice: node[:-1],
    "unwrap": lambda node, choice: node[0] if node else None,
    "unknown": lambda node, choice: [*node, _set(None, choice)],
}
_OF_ALL: dict[str, Callable[[Any, int], Any]] = {
    "wrap": lambda node, choice: [node] if choice % 2 else {"x": node},
}
