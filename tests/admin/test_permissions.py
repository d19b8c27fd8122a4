from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE, AFTER = ("people", "0004_labels"), ("people", "0005_permission_names")


@pytest.mark.django_db(transaction=True)
def test_permissions_of_an_upgraded_database_get_their_models_current_names() -> None:
    permissions = Permission.objects.filter(content_type__app_label="people")
    current_names = dict(permissions.values_list("codename", "name"))
    assert current_names["view_outboxentry"] == "Can view failed task"
    MigrationExecutor(connection).migrate([BEFORE])
    permissions.filter(codename="view_outboxentry").update(name="Can view outbox entry")
    MigrationExecutor(connection).migrate([AFTER])
    assert dict(permissions.values_list("codename", "name")) == current_names
