"""An import's people.csv: which person each folder belongs to. Mistakes are reported by line number."""

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
MAX_REPORTED = 20
"""How many mistakes one error lists."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of people.csv. `fields` are the fields of a new Person."""

    line: int
    external_id: str
    fields: Mapping[str, Any]


def parse(data: bytes) -> dict[str, Row]:
    """Return the rows by folder. Raises PeopleCsvInvalid, with the line numbers of the mistakes."""
    if len(data) > MAX_BYTES:
        raise PeopleCsvInvalid("people.csv is larger than 20 MB. Split the import.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid([(line, "The text is not UTF-8. Save the file as UTF-8.")]) from error
    rows: dict[str, Row] = {}
    keys: dict[str, int] = {}
    mistakes: list[tuple[int, str]] = []
    for line, cells in _lines(text, mistakes):
        try:
            folder, row = _row(line, cells)
        except (ValidationError, ValueError) as error:
            messages = error.messages if isinstance(error, ValidationError) else [str(error)]
            mistakes.append((line, " ".join(messages)))
            continue
        if folder in rows:
            mistakes.append((line, f"This folder is already in line {rows[folder].line}."))
        elif row.external_id in keys:
            mistakes.append((line, f"This external_id is already in line {keys[row.external_id]}."))
        else:
            rows[folder] = row
            keys[row.external_id] = line
    if mistakes:
        raise _invalid(mistakes)
    return rows


def _lines(text: str, mistakes: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and cells of each line that isn't blank; append what is invalid to `mistakes`."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        unknown = [column for column in columns if column not in COLUMNS]
        if unknown or "folder" not in columns or len(set(columns)) < len(columns):
            listed = ", ".join(repr(column[:40]) for column in unknown[:5])
            intro = f"Unknown columns: {listed}. " if unknown else ""
            mistakes.append(
                (
                    1,
                    f"{intro}The first line must name the columns, separated by commas, each at most once: "
                    f"{', '.join(COLUMNS)}. Only `folder` is required.",
                )
            )
            return
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                mistakes.append(
                    (
                        reader.line_num,
                        f"The line has {len(cells)} cells, but there are {len(columns)} columns.",
                    )
                )
                continue
            yield reader.line_num, dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        mistakes.append((reader.line_num, f"This is not valid CSV: {error}."))


def _row(line: int, cells: Mapping[str, str]) -> tuple[str, Row]:
    folder = composed(cells["folder"])
    if not folder or "/" in folder:
        raise ValueError("`folder` must be the name of one folder.")
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
        messages_by_field = [
            f"`{name}`: {message}" for name, messages in error.message_dict.items() for message in messages
        ]
        raise ValueError(" ".join(messages_by_field)) from error
    fields = {
        name: getattr(person, name) for name in ("name", "metadata", "consent_given_at", "consent_expires_at")
    }
    return folder, Row(line, str(person.external_id), fields)


def _json(text: str) -> Any:
    try:
        return json.loads(text, cls=StrictDecoder) if text else {}
    except json.JSONDecodeError as error:
        raise ValueError(
            f"`metadata` must be a JSON object, with its quotes doubled as CSV requires: {error.msg}."
        ) from error


def _time(text: str, column: str) -> datetime | None:
    if not text:
        return None
    try:
        time = parse_datetime(text)
        if time is None and (day := parse_date(text)) is not None:
            time = datetime(day.year, day.month, day.day)
    except ValueError:
        time = None
    if time is None:
        raise ValueError(f"`{column}` must be a date, for example 2026-03-31 or 2026-03-31T12:00:00Z.")
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _invalid(mistakes: list[tuple[int, str]]) -> PeopleCsvInvalid:
    lines = [f"line {line}: {message}" for line, message in sorted(mistakes)[:MAX_REPORTED]]
    summary = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes, the first"
    return PeopleCsvInvalid(
        f"people.csv has {summary} in {lines[0]}",
        extra={"errors": {"people.csv": lines}},
    )
