"""Checks that an IDL definition declares every type that its structures use.

The codec skips a member whose type it does not find, and reads on at the wrong place. Everything else
about IDL is the codec's: this reads names only.
"""

import re
from collections.abc import Iterator

from roboto_dagster.topics.faults import UndecodableError

_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|^\s*#[^\n]*|^=+\s*$|^IDL:[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
    r"|@?[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*|::[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*|[{}()<>\[\];,:=]|\S",
    re.DOTALL | re.MULTILINE,
)
_NO_TOKEN = re.compile(r"//|/\*|\s*#|=+\s*$|IDL:")
_WORD = re.compile(r"(?:::)?[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*")
_BUILT_IN = frozenset(
    {
        *(
            "short",
            "long",
            "unsigned",
            "float",
            "double",
            "char",
            "wchar",
            "boolean",
            "octet",
            "any",
        ),
        *(
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "string",
            "wstring",
        ),
        *("sequence", "fixed", "map", "const", "void", "Object"),
    }
)
_DECLARING = frozenset(
    {"struct", "union", "enum", "bitmask", "bitset", "exception", "valuetype", "interface"}
)


def check_idl(type_name: str, text: bytes) -> None:
    """Raise where a definition in IDL lacks a type.

    Args:
        type_name: Name of the type, as in the log.
        text: The definition.

    Raises:
        UndecodableError: MISSING_DEFINITION: a type is used and not declared; INVALID_DEFINITION: it is not UTF-8,
            or is nested too deeply.
    """
    try:
        tokens = [each[0] for each in _TOKEN.finditer(text.decode("utf-8-sig"))]
    except UnicodeDecodeError:
        raise UndecodableError(
            "INVALID_DEFINITION", f"the definition of {type_name} is not UTF-8"
        ) from None
    if not any(word in _DECLARING for word in tokens):
        raise UndecodableError(
            "MISSING_DEFINITION", f"the definition of {type_name} declares no type"
        )
    reader = _Reader([word for word in tokens if not _NO_TOKEN.match(word)])
    try:
        reader.read()
    except RecursionError:
        raise UndecodableError(
            "INVALID_DEFINITION", f"the definition of {type_name} is nested too deeply"
        ) from None
    for scope, used, member in reader.used:
        if not any(
            "::".join((*scope[:depth], used)) in reader.declared
            for depth in range(len(scope), -1, -1)
        ):
            raise UndecodableError(
                "MISSING_DEFINITION",
                f"type {used} of {'::'.join((*scope, member))} is not defined in the log",
            )


class _Reader:
    """Collects declared and used names, scope by scope.

    ```
    module M { ─┐         struct S [: Base] { [@annotation(…)] type declarator[, …]; … };
      …         ├─ scope  typedef type declarator;
    };         ─┘         enum E { … };  union U switch (type) { case …: type declarator; };
    ```
    """

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._scope: list[str] = []
        self.declared: set[str] = set()
        self.used: list[tuple[tuple[str, ...], str, str]] = []

    def read(self) -> None:
        """Read declarations up to the end of the text or of the module."""
        while self._at < len(self._tokens):
            word = self._next()
            if word == "}":
                return
            if word == "module":
                self._scope.append(self._next())
                self._next()
                self.read()
                self._scope.pop()
            elif word in _DECLARING:
                self._declaration(word)
            elif word == "typedef":
                self._member(list(self._until(";")), is_typedef=True)

    def _next(self) -> str:
        word = self._tokens[self._at] if self._at < len(self._tokens) else "}"
        self._at += 1
        return word

    def _declaration(self, kind: str) -> None:
        name = self._next()
        self.declared.add("::".join((*self._scope, name)))
        opening = list(self._until("{", ";"))
        if self._tokens[self._at - 1 : self._at] != ["{"]:
            return  # declared in advance
        if kind == "struct":
            self._use([word for word in opening if word != ":"], name)
        if kind == "union":
            self._use(opening[opening.index("(") + 1 : -1] if "(" in opening else [], name)
        if kind not in {"struct", "union", "exception"}:
            list(self._until("}"))
            return
        self._scope.append(name)
        while self._at < len(self._tokens) and self._tokens[self._at] != "}":
            self._member(list(self._until(";")), is_typedef=False)
        self._next()
        self._scope.pop()

    def _until(self, *ends: str) -> Iterator[str]:
        while self._at < len(self._tokens):
            word = self._next()
            if word in ends:
                return
            yield word

    def _member(self, tokens: list[str], *, is_typedef: bool) -> None:
        words = list(_without_annotations(tokens))
        while words[:1] and words[0] in {"case", "default"}:  # labels of a union
            words = words[words.index(":") + 1 :] if ":" in words else []
        kind, names = _split_declarators(words)
        self._use(kind, names[0] if names else "")
        if is_typedef:
            self.declared.update("::".join((*self._scope, name)) for name in names)

    def _use(self, tokens: list[str], member: str) -> None:
        for word in tokens:
            name = word.removeprefix("::")
            if _WORD.fullmatch(word) and name not in _BUILT_IN:
                self.used.append((tuple(self._scope), name, member))


def _without_annotations(tokens: list[str]) -> Iterator[str]:
    depth, is_after = 0, False
    for word in tokens:
        if word.startswith("@"):
            is_after = True
        elif word == "(" and (is_after or depth):
            depth += 1
        elif word == ")" and depth:
            depth -= 1
            is_after = False
        elif not depth:
            is_after = False
            yield word


def _split_declarators(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the tokens of the type, without bounds, and the names declared."""
    depth, kind = 0, []
    for number, word in enumerate(words):
        depth += (word == "<") - (word == ">")
        is_last_of_type = (
            not depth and (number + 1 < len(words)) and words[number + 1] not in {"<", ">"}
        )
        kind.append(word)
        if is_last_of_type and not (
            word in {"unsigned", "long"} and words[number + 1] in {"short", "long", "double"}
        ):
            rest = words[number + 1 :]
            return _names_of_types(kind), [
                each for at, each in enumerate(rest) if at == 0 or rest[at - 1] == ","
            ]
    return _names_of_types(kind), []


def _names_of_types(kind: list[str]) -> list[str]:
    """Return a type's tokens without what bounds it: `sequence<T, MAX>` and `string<MAX>` use a constant."""
    found, is_bound = [], False
    for number, word in enumerate(kind):
        if word in {"<", ">", ","}:
            is_bound = (word == "," and kind[0] != "map") or (
                word == "<" and number > 0 and kind[number - 1] in {"string", "wstring"}
            )
        elif not is_bound:
            found.append(word)
    return found
