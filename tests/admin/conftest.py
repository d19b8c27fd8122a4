from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client


@pytest.fixture
def page(client: Client, staff: User) -> Client:
    """A browser with an administrator logged in."""
    client.force_login(staff)
    return client


@pytest.fixture
def page_of(db: None) -> Callable[..., Client]:
    """A browser with a member of staff logged in who has these permissions of `people` only."""

    def logged_in(*permissions: str) -> Client:
        user = User.objects.create_user(f"with {permissions}", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="people", codename__in=permissions)
        )
        client = Client()
        client.force_login(user)
        return client

    return logged_in
