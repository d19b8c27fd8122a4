"""The document check reports broken links and phrases to avoid, and accepts correct text."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import check_documents


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(check_documents, "ROOT", tmp_path)
    (tmp_path / "other.md").write_text("# Other\n\n## A second heading\n")
    return tmp_path / "page.md"


@pytest.mark.parametrize("link", ["other.md", "other.md#a-second-heading", "#here", "https://example.org/x"])
def test_a_link_with_an_existing_target_is_accepted(page: Path, link: str) -> None:
    page.write_text(f"# Here\n\n[text]({link})\n")
    assert list(check_documents.broken_links([page])) == []


@pytest.mark.parametrize("link", ["missing.md", "other.md#third", "#there", "missing.png"])
def test_a_link_or_picture_without_a_target_is_reported(page: Path, link: str) -> None:
    page.write_text(f"# Here\n\n{'!' if link.endswith('png') else ''}[text]({link})\n")
    (fault,) = check_documents.broken_links([page])
    assert fault.startswith("page.md:3: ")


def test_a_link_in_a_code_block_is_not_checked(page: Path) -> None:
    page.write_text("```md\n[text](missing.md)\n```\n")
    assert list(check_documents.broken_links([page])) == []


@pytest.mark.parametrize("word", ["anew", "Whoever", "by hand", "for good"])
def test_a_phrase_to_avoid_is_reported_with_its_line(page: Path, word: str) -> None:
    page.write_text(f"Fine.\nThen do it {word}.\n")
    (fault,) = check_documents.phrases([page])
    assert fault.startswith("page.md:2: ")


def test_a_plain_sentence_is_accepted(page: Path) -> None:
    page.write_text("The request is refused. Besides, it too returns 409, next to the other fields.\n")
    assert list(check_documents.phrases([page])) == []
