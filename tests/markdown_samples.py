"""The code samples and command lines in the Markdown pages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from textwrap import dedent, shorten

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))]
DIAGRAMS = {"mermaid"}
"""Languages of fenced blocks that aren't code."""


@dataclass(frozen=True, slots=True)
class Sample:
    page: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The page and the beginning of the sample's first line (in Python, the first after the imports)."""
        lines = self.text.splitlines()
        if self.language == "python":
            lines = [line for line in lines if line and not line.startswith(("import ", "from "))]
        return f"{self.page}: {shorten(lines[0], 60, placeholder=' …')}"


@dataclass(frozen=True, slots=True)
class CommandLine:
    program: str
    arguments: tuple[str, ...]


def samples(page: str) -> list[Sample]:
    """Return a page's fenced blocks from top to bottom, without its diagrams."""
    return [
        Sample(page, token.info, dedent(token.content))
        for token in _tokens(page)
        if token.type == "fence" and token.info not in DIAGRAMS
    ]


def inline_code(page: str) -> list[list[str]]:
    """Return what a page quotes in its text, grouped by paragraph or table row."""
    groups: list[list[str]] = []
    in_row = False
    for token in _tokens(page):
        if token.type in ("tr_open", "tr_close"):
            in_row = token.type == "tr_open"
            groups.append([])
        elif token.type == "inline":
            if not in_row:
                groups.append([])
            groups[-1] += [child.content for child in token.children or () if child.type == "code_inline"]
    return [group for group in groups if group]


def command_lines(shell: str, *programs: str) -> Iterator[CommandLine]:
    """Yield each run of the programs in shell code, including runs in pipes, loops and other commands."""
    for line in shell.replace("\\\n", " ").splitlines():
        words = _words(line)
        for number, word in enumerate(words):
            program = PurePosixPath(word).name
            if program in programs:
                arguments = takewhile(lambda word: not re.fullmatch(r"[();<>|&]+", word), words[number + 1 :])
                yield CommandLine(program, tuple(arguments))


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _tokens(page: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse((ROOT / page).read_text())
