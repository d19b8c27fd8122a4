"""`manage.py list_errors`: the table of error codes, docs/errors.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from people.errors import FacerecError, NoFaceFound, every_code

EXAMPLE = json.dumps(NoFaceFound().as_problem("4be3…"), ensure_ascii=False, indent=1)
INTRODUCTION = f"""\
# Error codes

Every error under `/api/` is a problem document (RFC 9457, `application/problem+json`):

```
{EXAMPLE}
```

Clients should branch on `code`, which never changes. `detail` is a human-readable sentence, and may be
more specific than this table. Some codes come with additional members: `errors` has messages by field,
`reasons` has the measured and required quality, and `faces` has the boxes to choose from.

In the Status column, `import result` marks codes that appear in the `problem` of a file in an import's
results, and `command` marks codes that `manage.py` commands report. Files of an import, and photos that are
rejected after a 202 response, can also have codes whose Status is a number.

This page is generated: `manage.py list_errors > docs/errors.md`.
"""
HEADINGS = ("Code", "Status", "Meaning", "What to do")


class Command(BaseCommand):
    help = "Print the page with all error codes, in Markdown."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check",
            type=Path,
            metavar="FILE",
            help="don't print the page, but fail if FILE differs from it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path | None = options["check"]
        if path is None:
            self.stdout.write(page(), ending="")
        elif not path.is_file() or path.read_text() != page():
            raise CommandError(f"{path} is not up to date. Run: manage.py list_errors > {path}")


def page() -> str:
    """Return the page, with the codes sorted by status and name."""
    kinds = sorted(every_code().values(), key=lambda kind: (_status(kind), kind.code))
    rows = [(f"`{kind.code}`", _status(kind), kind.meaning, kind.remedy) for kind in kinds]
    lines = [f"| {' | '.join(cells)} |" for cells in (HEADINGS, ("---",) * len(HEADINGS), *rows)]
    return "\n".join([INTRODUCTION, *lines, ""])


def _status(kind: type[FacerecError]) -> str:
    return str(kind.status) if kind.reported_in == "response" else kind.reported_in
