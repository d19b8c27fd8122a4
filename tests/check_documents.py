"""Check the text that people read: links and anchors in the Markdown pages, and phrases that we avoid.

`make lint` runs `python -m tests.check_documents`. It prints each fault as `path:line: what is wrong` and
exits with 1 if there is any. It reads only files that git tracks, and doesn't use the network.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin

ROOT = Path(__file__).resolve().parents[1]
THIS_FILE = "tests/check_documents.py"

TEXT_SUFFIXES = {".md", ".py", ".html", ".toml", ".yml", ".yaml", ".in", ".sh"}
TEXT_NAMES = {"Makefile", "Dockerfile", "Procfile", "facerec-deploy"}
NOT_OURS = (
    "people/migrations/",
    "requirements/",
    "tests/pinecone_openapi.yaml",
    THIS_FILE,
    "tests/test_check_documents.py",
)
"""Migrations keep the text of their day; the others are generated, or list the phrases."""

PHRASES = {
    r"\banew\b": "again",
    r"\bwho(m)?ever\b": "name the people: users, clients, staff",
    r"\bfor good\b": "permanently",
    r"\bby hand\b": "name how: in raw SQL, manually",
    r"\b(somebody|nobody) (may|can|else)\b": "say what is not allowed, or who is",
    r"\b(is|are|was|were) told\b": "is reported, is returned, gets",
    r"\btells (that|of|whether|how|what|which|who|why|when)\b": "says, reports, shows, returns",
    r"\b(goes|comes) (on|back)\b": "continues, resumes, is restored, returns",
    r"\bgiven up\b": "failed",
    r"\bis away\b": "is unavailable",
    r"\bstands? (in|on|at|there|beside)\b": "is in, is on",
    r"\b(?-i:[Bb]eside)\b(?!\")": "next to, alongside",
    r"\w, too\b[.,;:)]": "no comma before `too`; or use `also`",
    r"\bno such thing\b": "not found",
    r"\btoo near\b": "too similar",
}
"""Phrases that read like a translation (regular expressions, case ignored), and what to write instead."""


def main() -> int:
    """Print every fault of the tracked files, and return the exit status."""
    tracked = _tracked_files()
    faults = sorted({*broken_links(tracked), *phrases(tracked)})
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def broken_links(paths: list[Path]) -> Iterator[str]:
    """Yield a line for each local link or picture whose file, or whose heading in it, doesn't exist."""
    for path in paths:
        if path.suffix != ".md":
            continue
        for line, target in _links(path):
            file_name, _, anchor = target.partition("#")
            linked = path if not file_name else (path.parent / unquote(file_name)).resolve()
            if not linked.exists():
                yield f"{_name(path)}:{line}: there is no file {target}"
            elif anchor and linked.suffix == ".md" and anchor not in _anchors(linked):
                yield f"{_name(path)}:{line}: {_name(linked)} has no heading #{anchor}"


def phrases(paths: list[Path]) -> Iterator[str]:
    """Yield a line for each phrase of `PHRASES`."""
    patterns = {re.compile(pattern, flags=re.IGNORECASE): advice for pattern, advice in PHRASES.items()}
    for path in paths:
        if _name(path).startswith(NOT_OURS) or not (path.suffix in TEXT_SUFFIXES or path.name in TEXT_NAMES):
            continue
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            for pattern, advice in patterns.items():
                if match := pattern.search(line):
                    yield f"{_name(path)}:{number}: {match[0]!r} reads like a translation ({advice})"


def _tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def _links(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the target of each link and picture that stays in the repository."""
    for block in _tokens(path):
        line = block.map[0] + 1 if block.map else 1
        for token in block.children or ():
            target = str(token.attrGet("href") or token.attrGet("src") or "")
            if target and not re.match(r"[a-z]+:", target):
                yield line, target


@cache
def _anchors(path: Path) -> set[str]:
    return {str(token.attrGet("id")) for token in _tokens(path) if token.type == "heading_open"}


@cache
def _tokens(path: Path) -> list[Token]:
    parser = MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6)
    return parser.parse(path.read_text())


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    sys.exit(main())
