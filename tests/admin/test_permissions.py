"""Permissions of a database that was created by an earlier version."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

BEFORE = ("people", "0004_labels")


@pytest.mark.django_db(transaction=True)
def test_permissions_of_an_upgraded_database_get_their_models_current_names() -> None:
    permissions = Permission.objects.filter(content_type__app_label="people")
    current_names = dict(permissions.values_list("codename", "name"))
    assert current_names["view_outboxentry"] == "Can view failed task"
    newest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    try:
        MigrationExecutor(connection).migrate([BEFORE])
        permissions.filter(codename="view_outboxentry").update(name="Can view outbox entry")
    finally:
        MigrationExecutor(connection).migrate(newest)
    assert dict(permissions.values_list("codename", "name")) == current_names
