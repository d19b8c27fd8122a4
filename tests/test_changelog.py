"""CHANGELOG.md lists releases, newest first, and the service states the newest one's version."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from django.conf import settings

from facerec_site import VERSION

CHANGELOG = (Path(__file__).resolve().parents[1] / "CHANGELOG.md").read_text()
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", CHANGELOG, flags=re.M)


def test_the_service_states_the_version_of_the_newest_release() -> None:
    assert RELEASES[0][0] == VERSION == settings.SPECTACULAR_SETTINGS["VERSION"]


def test_releases_are_listed_newest_first_after_unreleased_changes() -> None:
    headings = re.findall(r"^## (.+)$", CHANGELOG, flags=re.M)
    assert headings[0] == "[Unreleased]"
    assert len(headings) == len(RELEASES) + 1
    versions = [(tuple(map(int, version.split("."))), date.fromisoformat(day)) for version, day in RELEASES]
    assert versions == sorted(versions, reverse=True)


def test_changes_are_in_the_groups_of_keep_a_changelog() -> None:
    groups = set(re.findall(r"^### (.+)$", CHANGELOG, flags=re.M))
    assert groups <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
