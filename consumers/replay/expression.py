"""
``--where``: a condition on fields, read and checked before anything is replayed.

    condition   = term { "or" term } ;                  term = factor { "and" factor } ;
    factor      = "not" factor | "(" condition ")" | comparison ;
    comparison  = field ( operator literal | [ "not" ] "in" "(" literal { "," literal } ")" | "is" [ "not" ] "null" ) ;
    operator    = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ;
    literal     = number | 'text' | "text" ;

A comparison with a field that is null, or that the event does not have, is false. Nothing is ever evaluated as Python.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from consumers.replay.fields import NUMBERS, getter_of, kinds_of
from models.errors import Refused
from models.eventlog.port import Record

Predicate: TypeAlias = Callable[[Record, Any], bool]
"""Whether a record and its event are wanted."""

DEEPEST: Final = 50
"""Brackets and "not" within each other; more is nobody's question."""

LONGEST: Final = 40
"""Characters of a number."""

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_TOKENS: Final = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\b)|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<operator><=|>=|==|!=|<>|[=<>(),])|(?P<word>[A-Za-z_]\w*))"
)
_WORDS: Final = ("and", "or", "not", "in", "is", "null")


class Token(NamedTuple):
    """``kind`` is number, text, operator, word (a field), one of the key words, or end; ``at`` counts from 1."""

    kind: str
    text: str
    at: int


def parse(text: str, topic: str) -> Predicate:
    """The condition on events of a topic; raises Refused with the position, what is there and what is allowed."""
    return _Parser(_tokens(text), topic).whole()


def _tokens(text: str) -> list[Token]:
    found, at, end = list[Token](), 0, len(text.rstrip())
    while at < end:
        match = _TOKENS.match(text, at)
        if match is None:
            start = at + len(text[at:]) - len(text[at:].lstrip())
            _refuse(
                Token("", text[start : start + 20], start + 1), "a field, a number, 'text', an operator or a bracket"
            )
        kind = str(match.lastgroup)
        word = match[kind]
        if kind == "word" and word.lower() in _WORDS:
            kind = word.lower()
        found.append(Token(kind, word, match.start(str(match.lastgroup)) + 1))
        at = match.end()
    return [*found, Token("end", "the end", len(text) + 1)]


def _refuse(token: Token, allowed: str) -> NoReturn:
    raise Refused("what is there", token.text, allowed, f"--where, position {token.at}")


def both(first: Predicate, second: Predicate) -> Predicate:
    """Whether both say yes; the second is asked only if the first does."""
    return lambda record, event: first(record, event) and second(record, event)


def _either(first: Predicate, second: Predicate) -> Predicate:
    return lambda record, event: first(record, event) or second(record, event)


class _Parser:
    """Recursive descent over the tokens; each method reads what its name says and returns its meaning."""

    def __init__(self, tokens: list[Token], topic: str) -> None:
        self._tokens, self._next, self._depth = tokens, 0, 0
        self._topic, self._kinds = topic, kinds_of(topic)

    def whole(self) -> Predicate:
        found = self._condition()
        if self._peek().kind != "end":
            _refuse(self._peek(), "and, or, or the end")
        return found

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind != "end"
        return token

    def _skip(self, *wanted: str) -> bool:
        """Whether a key word or a sign was next; it is then behind us."""
        token = self._peek()
        if token.kind in wanted or (token.kind == "operator" and token.text in wanted):
            self._take()
            return True
        return False

    def _expect(self, wanted: str) -> None:
        if not self._skip(wanted):
            _refuse(self._peek(), wanted)

    def _condition(self) -> Predicate:
        found = self._term()
        while self._skip("or"):
            found = _either(found, self._term())
        return found

    def _term(self) -> Predicate:
        found = self._factor()
        while self._skip("and"):
            found = both(found, self._factor())
        return found

    def _factor(self) -> Predicate:
        token = self._peek()
        if not self._skip("not", "("):
            return self._comparison()
        self._depth += 1
        if self._depth > DEEPEST:
            _refuse(token, f"at most {DEEPEST} brackets and nots within each other")
        if token.kind == "not":
            inner = self._factor()
            found: Predicate = lambda r, e: not inner(r, e)  # noqa: E731 -- a predicate, as all here
        else:
            found = self._condition()
            self._expect(")")
        self._depth -= 1
        return found

    def _comparison(self) -> Predicate:
        name = self._field()
        get, token = getter_of(self._topic, name), self._take()
        if token.kind == "is":
            return self._null(name)
        if token.kind == "operator" and token.text in _COMPARE:
            compare, value = _COMPARE[token.text], self._literal(name)
            return lambda r, e: (found := get(r, e)) is not None and compare(found, value)
        negated = token.kind == "not"
        if negated:
            token = self._take()
        if token.kind != "in":
            _refuse(token, "in" if negated else "an operator (= != < <= > >=), in, not in, is null or is not null")
        values = self._values(name)
        return lambda r, e: (found := get(r, e)) is not None and (found in values) is not negated

    def _field(self) -> str:
        token = self._take()
        allowed = [name for name, kind in self._kinds.items() if kind in (*NUMBERS, "text")]
        if token.kind != "word" or token.text not in allowed:
            _refuse(token, "one of " + ", ".join(allowed))
        return token.text

    def _null(self, name: str) -> Predicate:
        get, wanted = getter_of(self._topic, name), not self._skip("not")
        self._expect("null")
        return lambda r, e: (get(r, e) is None) is wanted

    def _values(self, name: str) -> frozenset[int | float | str]:
        self._expect("(")
        values = [self._literal(name)]
        while self._skip(","):
            values.append(self._literal(name))
        self._expect(")")
        return frozenset(values)

    def _literal(self, name: str) -> int | float | str:
        token = self._take()
        if self._kinds[name] == "text":
            if token.kind != "text":
                _refuse(token, f"a text in quotes, since {name} is one")
            return token.text[1:-1]
        if token.kind != "number" or len(token.text) > LONGEST:
            _refuse(token, f"a number of {LONGEST} characters at most, since {name} is one")
        return float(token.text) if re.search("[.eE]", token.text) else int(token.text)
