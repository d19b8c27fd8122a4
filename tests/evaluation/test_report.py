from __future__ import annotations

import base64
import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from people.evaluation.figures import evaluate
from people.evaluation.folder import FolderEvaluation
from people.evaluation.report import as_text, write_page
from tests.evaluation.samples import MANY, outcomes_of

EVALUATED = FolderEvaluation(
    engine="fake/1",
    command="manage.py evaluate photos --enrol 2",
    evaluation=evaluate(outcomes_of([*MANY, *range(60, 130)]), 2),
    unreadable=[],
    reused=0,
    cache=Path("var/outcomes.sqlite3"),
)


def test_the_text_is_a_heading_aligned_columns_and_notes() -> None:
    heading, head, *rows, first_note, last_note = as_text(EVALUATED).split("\n")
    assert heading.startswith("Engine fake/1: 246 photos of 130 people, ")
    assert head.split() == ["value", "95%", "interval", "cosine"]
    assert first_note.startswith("Note: – means that fewer than 10 pairs of different people")
    assert last_note.startswith(
        "Note: Strangers are people with exactly one photo. TPIR at FPIR 1% needs 1000"
    )
    assert all(row == row.rstrip() for row in rows)
    value_end = head.index("value") + len("value")
    cells = [row[:value_end] for row in rows if "enrolled;" not in row]
    assert all(re.search(r" (\d+\.\d\d%|–)$", cell) for cell in cells)
    cosines = [row for row in rows if row.startswith("TAR at FMR 1%") or "TPIR at FPIR 10%" in row]
    assert len(cosines) == 3
    assert all(len(row) == len(head) for row in cosines)


def test_the_text_also_shows_the_results_with_one_photo_enrolled() -> None:
    text = as_text(EVALUATED)
    assert re.search(r"^2 photos each of \d+ people enrolled; \d+ probes, 100 strangers$", text, re.MULTILINE)
    assert re.search(r"^1 photo each of \d+ people enrolled; \d+ probes, 100 strangers$", text, re.MULTILINE)


def test_the_text_shows_how_many_outcomes_were_cached() -> None:
    text = as_text(replace(EVALUATED, reused=200))
    assert text.startswith(
        "200 of 246 photos were extracted in an earlier run and taken from var/outcomes.sqlite3. "
        "Use --fresh to extract them again.\nEngine fake/1"
    )


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [
        (1, "1 photo couldn't be read and is left out:", '  a/1: <no> & "photo"'),
        (20, "20 photos couldn't be read and are left out:", '  a/20: <no> & "photo"'),
        (22, "22 photos couldn't be read and are left out:", "  … and 2 more (--json lists them all)"),
    ],
)
def test_the_text_lists_the_first_unreadable_photos(count: int, first: str, last: str) -> None:
    unreadable = [f'a/{number}: <no> & "photo"' for number in range(1, count + 1)]
    lines = as_text(replace(EVALUATED, unreadable=unreadable)).split("\n")
    heading = next(number for number, line in enumerate(lines) if line.startswith("Engine"))
    assert (lines[0], lines[heading - 1]) == (first, last)
    assert heading == 1 + min(count, 21)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an evaluation whose engine and folder have HTML in their names."""
    evaluated = replace(EVALUATED, engine="<i>/1", command="manage.py evaluate <script>alert('&')</script>")
    return write_page(tmp_path_factory.mktemp("plots") / "new", evaluated)


def test_the_page_has_every_row_and_note_of_the_text(page: Path) -> None:
    content = html.unescape(page.read_text())
    _, _, *rows, first_note, last_note = as_text(EVALUATED).split("\n")
    cells = re.findall(r'<tr><th scope="row">(.*)</th><td>(.*)</td><td>(.*)</td><td>(.*)</td></tr>', content)
    assert [" ".join(" ".join(row).split()) for row in cells] == [" ".join(row.split()) for row in rows]
    for note in (first_note, last_note):
        assert f"<p>{note.removeprefix('Note: ')}</p>" in content


def test_the_page_is_self_contained(page: Path) -> None:
    content = page.read_text()
    for name in ("det.png", "scores.png"):
        png = (page.parent / name).read_bytes()
        assert png.startswith(b"\x89PNG")
        assert f'src="data:image/png;base64,{base64.b64encode(png).decode()}"' in content
    assert "://" not in content


def test_the_page_escapes_names(page: Path) -> None:
    content = page.read_text()
    assert "<script>" not in content
    assert "<i>" not in content
    assert "<title>Evaluation of &lt;i&gt;/1</title>" in content
    assert "evaluate &lt;script&gt;alert(&#x27;&amp;&#x27;)" in content
