"""Small changes to a module's source, one at a time: what `mutation.py` tries the tests with.

Left alone are annotations, decorators, imports, docstrings, `__all__` and the types handed to `cast` and `Literal`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

AROUND = 40
"""Characters shown on either side of a change."""
COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
CALCULATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
}
IN_REGEX = (
    (r"(?<=[{,])\d+(?=[,}])", ("+", "-")),
    (r"\\b|\(\?i\)|\(\?<?!(?:\[[^\]]*\]|\\.|[^()])*\)|\[[^\]]*\]\?|(?<=\))\?", ("",)),
    (r"(?<=[|:(])[A-Za-z]{2,}(?=[|)])", ("~",)),
)
IN_SQL = (
    (r"\band\b", ("or",)),
    (r"\bor\b", ("and",)),
    (r"\bnot(?= )", ("",)),
    (r"\bexists(?= ?\()", ("not exists",)),
    (r"\btrue\b", ("false",)),
    (r"(?<=')\w+(?=')", ("~",)),
    (r"<>", ("=",)),
    (r" > ", (" >= ",)),
)
"""Patterns of what is changed inside of regular expressions and SQL, and into what; a number by one."""
LEFT = frozenset({"annotation", "returns", "decorator_list", "ctx", "format_spec"})
Place = tuple[Any, Any]


class Mutant(NamedTuple):
    """One change: where, what stood there and what stands there now, and the module's whole source with it."""

    module: str
    line: int
    scope: str
    before: str
    after: str
    source: str

    @property
    def name(self) -> tuple[str, ...]:
        """What stays the same while other lines of the module change."""
        return self.module, self.scope, self.before, self.after


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Yield every change of the module, in the order of its text."""
    tree = ast.parse(source)
    plain, seen = ast.unparse(tree), Counter[tuple[str, str, str]]()
    for line, scope, (holder, key), new in list(_sites(tree, ())):
        old, holder[key] = holder[key], new
        changed = ast.unparse(ast.fix_missing_locations(tree))
        holder[key] = old
        if changed == plain:
            continue
        before, after = _difference(plain, changed)
        seen[scope, before, after] += 1
        many = seen[scope, before, after]
        yield Mutant(module, line, scope, before, after if many == 1 else f"{after} #{many}", changed)


def _difference(plain: str, changed: str) -> tuple[str, str]:
    start = _alike(plain, changed)
    end = _alike(plain[:start:-1], changed[:start:-1])
    first = max(plain.rfind("\n", 0, start) + 1, start - AROUND)

    def shown(text: str) -> str:
        stop = len(text) - end
        line = text.find("\n", stop)
        return " ".join(text[first : min(line if line >= 0 else len(text), stop + AROUND)].split())

    return shown(plain), shown(changed)


def _alike(one: str, other: str) -> int:
    """Return how many characters both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _sites(node: ast.AST, scope: tuple[str, ...]) -> Iterator[tuple[int, str, Place, Any]]:
    """Yield line, scope, place and replacement of each change below a node."""
    for name, value in ast.iter_fields(node):
        if name in LEFT:
            continue
        holder: Any = value if isinstance(value, list) else vars(node)
        for key in range(len(value)) if isinstance(value, list) else (name,):
            child = holder[key]
            if not isinstance(child, ast.AST) or _untouched(child, node, key):
                continue
            line = getattr(child, "lineno", getattr(node, "lineno", 0))
            for new in _changes(child, node, name):
                yield line, ".".join(scope) or "module", (holder, key), new
            named = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            yield from _sites(child, (*scope, child.name) if named else scope)  # type: ignore[attr-defined]


def _untouched(child: ast.AST, parent: ast.AST, key: object) -> bool:
    if isinstance(child, ast.Import | ast.ImportFrom):
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) == "__all__":
        return True
    if isinstance(child, ast.Subscript) and ast.unparse(child.value) in ("Literal", "Callable"):
        return True
    return isinstance(parent, ast.Call) and ast.unparse(parent.func) == "cast" and key == 0


def _changes(node: Any, parent: Any, field: str) -> Iterator[Any]:
    if isinstance(node, ast.stmt):
        yield from _statements(node)
    elif isinstance(node, ast.Constant):
        yield from _constants(node, parent, field)
    elif isinstance(node, ast.ExceptHandler) and node.type and not isinstance(node.type, ast.Tuple):
        yield ast.ExceptHandler(ast.Tuple([], ast.Load()), node.name, node.body)
    else:
        yield from _expressions(node, parent)
        yield from _shorter(node, parent)
    if field in ("test", "ifs"):
        yield from _negated(node)


def _expressions(node: Any, parent: Any) -> Iterator[ast.expr]:
    match node:
        case ast.JoinedStr():
            yield ast.Constant("")
        case ast.Compare(ops=[op]):
            yield from (ast.Compare(node.left, [other()], node.comparators) for other in COMPARED[type(op)])
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            yield from (ast.BoolOp(node.op, rest) for rest in _without_one(node.values))
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp(op=ast.BitOr()) if isinstance(parent, ast.Call):
            yield from (node.left, node.right)
        case ast.BinOp(op=op) if type(op) in CALCULATED:
            yield ast.BinOp(node.left, CALCULATED[type(op)](), node.right)
        case ast.Slice():
            yield from (ast.Slice(None, node.upper), ast.Slice(node.lower, None))


def _negated(test: ast.expr) -> Iterator[ast.expr]:
    if not isinstance(test, ast.Compare) and not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)):
        yield ast.UnaryOp(ast.Not(), test)


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Return(value=ast.expr() as value) if ast.unparse(value) != "None":
            yield ast.Return(ast.Constant(None))
        case ast.AugAssign(op=op) if type(op) in CALCULATED:
            yield ast.AugAssign(node.target, CALCULATED[type(op)](), node.value)
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
        target = node.target if isinstance(node, ast.AugAssign) else node.targets[0]
        if isinstance(target, ast.Attribute | ast.Subscript) or isinstance(node, ast.AugAssign):
            yield ast.Pass()
    elif isinstance(node, ast.Expr | ast.Raise | ast.Assert | ast.Continue | ast.Break):
        yield ast.Pass()


def _shorter(node: Any, parent: Any) -> Iterator[Any]:
    """Drop one member of a literal, or of what is suppressed; the shape of what is unpacked or returned stays."""
    plain = (ast.Constant, ast.Name, ast.Attribute, ast.Starred)
    match node:
        case ast.Call() if ast.unparse(node.func) == "contextlib.suppress":
            yield from (ast.Call(node.func, rest, []) for rest in _without_one(node.args))
        case ast.Dict():
            pairs = _without_one(list(zip(node.keys, node.values, strict=True)))
            yield from (ast.Dict([k for k, _ in rest], [v for _, v in rest]) for rest in pairs)
        case ast.Tuple() | ast.List() | ast.Set() if isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            kept = isinstance(parent, ast.Return) or (
                isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Tuple)
            )
            if len(node.elts) > 1 and not kept and all(isinstance(one, plain) for one in node.elts):
                for rest in _without_one(node.elts):
                    yield ast.Set(rest) if isinstance(node, ast.Set) else type(node)(rest, ast.Load())


def _without_one(members: list[Any]) -> Iterator[list[Any]]:
    yield from ([*members[:at], *members[at + 1 :]] for at in range(len(members)))


def _constants(node: ast.Constant, parent: Any, field: str) -> Iterator[ast.Constant]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, str) and isinstance(parent, ast.Call) and ast.unparse(parent.func) == "re.compile":
        yield from (ast.Constant(text) for text in _edits(value, IN_REGEX))
    elif isinstance(value, str) and re.search(r"\bselect\b", value):
        yield from (ast.Constant(text) for text in _edits(value, IN_SQL))
    elif isinstance(value, str | bytes) and not isinstance(parent, ast.JoinedStr) and field not in ("elts", "keys"):
        yield ast.Constant(value[:0] or (b"~" if isinstance(value, bytes) else "~") if not value else value[:0])


def _edits(text: str, patterns: tuple[tuple[str, tuple[str, ...]], ...]) -> Iterator[str]:
    for pattern, others in patterns:
        for match in re.finditer(pattern, text):
            for other in others:
                new = str(int(match[0]) + (1 if other == "+" else -1)) if other in ("+", "-") else other
                yield f"{text[: match.start()]}{new}{text[match.end() :]}"
