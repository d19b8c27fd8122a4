"""`manage.py quickstart` and `manage.py new_credentials`."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from people import api_keys, audit
from people.models import ApiKey, AuditEvent, Collection, Person, Photo

pytestmark = [pytest.mark.usefixtures("real_engine"), pytest.mark.django_db(transaction=True)]


def _lines() -> dict[str, str]:
    out = io.StringIO()
    call_command("quickstart", stdout=out)
    return dict(line.split(": ", 1) for line in out.getvalue().splitlines() if ": " in line)


def test_the_first_run_creates_administrator_key_and_sample_and_the_second_creates_nothing() -> None:
    lines = _lines()
    assert authenticate(username=lines["admin user"], password=lines["admin password"]) is not None
    assert api_keys.matching(lines["api key"]) is not None
    assert sorted(Person.objects.filter(collection__name="sample").values_list("name", flat=True)) == [
        "Barack Obama",
        "Eileen Collins",
        "Joe Biden",
    ]
    assert set(Photo.objects.values_list("status", flat=True)) == {"accepted"}
    assert Collection.objects.filter(name="default").exists()
    assert audit.first_broken() is None
    assert Counter(AuditEvent.objects.values_list("action", "actor")) == {
        ("collection.created", "system:command"): 2,
        ("person.created", "system:command"): 3,
        ("photo.submitted", "system:command"): 4,
        ("photo.accepted", "system:worker"): 4,
        ("user.password_set", "system:command"): 1,
        ("api_key.issued", "system:command"): 1,
    }

    second_run = _lines()
    assert not {"admin password", "api key"} & set(second_run)
    assert (Person.objects.count(), ApiKey.objects.count()) == (3, 1)


def test_new_credentials_replace_the_password_and_add_a_key() -> None:
    first_run = _lines()
    out = io.StringIO()
    call_command("new_credentials", stdout=out)
    lines = dict(line.split(": ", 1) for line in out.getvalue().splitlines())
    assert authenticate(username="admin", password=lines["admin password"]) is not None
    assert authenticate(username="admin", password=first_run["admin password"]) is None
    assert api_keys.matching(lines["api key"]) is not None
