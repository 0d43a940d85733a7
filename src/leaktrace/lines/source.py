"""Reading source files for names and lines, without leaving anything in the interpreter's own caches."""

from __future__ import annotations

import ast
import tokenize


_LONGEST_LINE = 160


class Sources:
    """Lines and functions of source files; each file is read once."""

    __slots__ = ("_files",)

    def __init__(self) -> None:
        self._files: dict[str, tuple[list[str], ast.Module | None]] = {}

    def code(self, file: str, line: int) -> str:
        """The stripped line, with carets under the call on it where there is one; "" where there is no source."""
        lines, tree = self._read(file)
        if not 1 <= line <= len(lines):
            return ""
        text = lines[line - 1].rstrip()
        lead = len(text) - len(text.lstrip())
        start, end = _call_on(tree, line) or (lead, len(text))
        # Columns of the tree are bytes of UTF-8.
        raw = text.encode()
        start, end = len(raw[:start].decode(errors="replace")), len(raw[: min(end, len(raw))].decode(errors="replace"))
        if len(text) - lead > _LONGEST_LINE:
            return f"{text.strip()[:_LONGEST_LINE]}…"
        return f"{text.strip()}\n{' ' * (start - lead)}{'^' * max(1, end - start)}"

    def has_call(self, file: str, line: int) -> bool:
        """Whether a call begins and ends on a line."""
        return _call_on(self._read(file)[1], line) is not None

    def function(self, file: str, line: int) -> str:
        """The qualified name of the innermost function around a line, or `<module>`."""
        _lines, tree = self._read(file)
        names: list[str] = []
        node: ast.AST | None = tree
        while node is not None:
            node = next((child for child in _scopes(node) if _covers(child, line)), None)
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(node.name)
        return ".".join(names) or "<module>"

    def tree(self, file: str) -> ast.Module | None:
        """The file's syntax tree; None where there is no source, or none that can be read."""
        return self._read(file)[1]

    def _read(self, file: str) -> tuple[list[str], ast.Module | None]:
        if file not in self._files:
            try:
                with tokenize.open(file) as source:
                    text = source.read()
                self._files[file] = (text.splitlines(), ast.parse(text))
            except (OSError, SyntaxError, ValueError, RecursionError):
                self._files[file] = ([], None)
        return self._files[file]


def refers_to(node: ast.AST, name: str) -> bool:
    """Whether an expression is the name itself, or an attribute that is called so."""
    return (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name)


def _scopes(node: ast.AST) -> list[ast.AST]:
    """The classes and functions directly inside a node, however deep in its statements."""
    found: list[ast.AST] = []
    pending = list(ast.iter_child_nodes(node))
    while pending:
        child = pending.pop()
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(child)
        else:
            pending.extend(ast.iter_child_nodes(child))
    return found


def _covers(node: ast.AST, line: int) -> bool:
    first: int = getattr(node, "lineno", 0)
    last: int = getattr(node, "end_lineno", None) or first
    return first <= line <= last


def _call_on(tree: ast.Module | None, line: int) -> tuple[int, int] | None:
    """The columns of the widest call that begins and ends on a line."""
    best: tuple[int, int] | None = None
    pending: list[ast.AST] = [tree] if tree is not None else []
    while pending:
        node = pending.pop()
        if hasattr(node, "lineno") and not _covers(node, line):
            continue
        pending.extend(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call) and node.lineno == node.end_lineno == line:
            span = (node.col_offset, node.end_col_offset or node.col_offset)
            if best is None or span[1] - span[0] > best[1] - best[0]:
                best = span
    return best
