"""An import's people.csv: who the folders are. Every mistake is told with its line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_date, parse_datetime

from people.errors import PeopleCsvInvalid
from people.imports.entries import composed
from people.models import Person
from people.strict_json import StrictDecoder

NAME = "people.csv"
COLUMNS = ("folder", "external_id", "name", "metadata", "consent_given_at", "consent_expires_at")
MAX_BYTES = 20_000_000
MAX_TOLD = 20
"""Mistakes that are told at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """What people.csv says of one folder. `fields` are those of a new Person."""

    line: int
    external_id: str
    fields: Mapping[str, Any]


def parse(data: bytes) -> dict[str, Row]:
    """Return the rows by folder. Raises PeopleCsvInvalid with the lines of all mistakes."""
    if len(data) > MAX_BYTES:
        raise PeopleCsvInvalid("people.csv is larger than 20 MB. Split the import.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid([(line, "This is not UTF-8. Save the file as UTF-8.")]) from error
    rows: dict[str, Row] = {}
    keys: dict[str, int] = {}
    mistakes: list[tuple[int, str]] = []
    for line, cells in _lines(text, mistakes):
        try:
            folder, row = _row(line, cells)
        except (ValidationError, ValueError) as error:
            words = error.messages if isinstance(error, ValidationError) else [str(error)]
            mistakes.append((line, " ".join(words)))
            continue
        if folder in rows:
            mistakes.append((line, f"The folder stands in line {rows[folder].line} already."))
        elif row.external_id in keys:
            mistakes.append((line, f"The external_id stands in line {keys[row.external_id]} already."))
        else:
            rows[folder] = row
            keys[row.external_id] = line
    if mistakes:
        raise _invalid(mistakes)
    return rows


def _lines(text: str, mistakes: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield each line that is not empty, by column; a file that can't be read is a mistake."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        unknown = [column for column in columns if column not in COLUMNS]
        if unknown or "folder" not in columns or len(set(columns)) < len(columns):
            shown = ", ".join(repr(column[:40]) for column in unknown[:5])
            wrong = f"Unknown columns: {shown}. " if unknown else ""
            mistakes.append(
                (
                    1,
                    f"{wrong}The first line names the columns, separated by commas, each once: "
                    f"{', '.join(COLUMNS)}. Only `folder` is needed.",
                )
            )
            return
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                mistakes.append(
                    (reader.line_num, f"There are {len(cells)} cells for {len(columns)} columns.")
                )
                continue
            yield reader.line_num, dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        mistakes.append((reader.line_num, f"This is not valid CSV: {error}."))


def _row(line: int, cells: Mapping[str, str]) -> tuple[str, Row]:
    folder = composed(cells["folder"])
    if not folder or "/" in folder:
        raise ValueError("`folder` must name one folder.")
    if any("\0" in cell for cell in cells.values()):
        raise ValueError("A cell contains a NUL character.")
    person = Person(
        external_id=cells.get("external_id") or folder,
        name=cells.get("name", ""),
        metadata=_json(cells.get("metadata", "")),
        consent_given_at=_time(cells.get("consent_given_at", ""), "consent_given_at"),
        consent_expires_at=_time(cells.get("consent_expires_at", ""), "consent_expires_at"),
    )
    try:
        person.clean_fields(exclude={"collection"})
        person.clean()
    except ValidationError as error:
        told = [
            f"`{name}`: {message}" for name, messages in error.message_dict.items() for message in messages
        ]
        raise ValueError(" ".join(told)) from error
    fields = {
        name: getattr(person, name) for name in ("name", "metadata", "consent_given_at", "consent_expires_at")
    }
    return folder, Row(line, str(person.external_id), fields)


def _json(text: str) -> Any:
    try:
        return json.loads(text, cls=StrictDecoder) if text else {}
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`metadata` must be a JSON object, with its quotes doubled in CSV: {error.msg}."
        ) from error


def _time(text: str, column: str) -> datetime | None:
    if not text:
        return None
    try:
        found = parse_datetime(text)
        if found is None and (day := parse_date(text)) is not None:
            found = datetime(day.year, day.month, day.day)
    except ValueError:
        found = None
    if found is None:
        raise ValueError(f"`{column}` must be a date, as 2026-03-31 or 2026-03-31T12:00:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _invalid(mistakes: list[tuple[int, str]]) -> PeopleCsvInvalid:
    told = [f"line {line}: {words}" for line, words in sorted(mistakes)[:MAX_TOLD]]
    return PeopleCsvInvalid(
        f"people.csv has {len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}, first in {told[0]}",
        extra={"errors": {"people.csv": told}},
    )
