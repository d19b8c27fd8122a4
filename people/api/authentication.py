"""Authentication and authorisation: API keys with scopes, or staff sessions with permissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from django.contrib.auth.models import User
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from people import api_keys
from people.actors import Actor
from people.models import ApiKey

if TYPE_CHECKING:
    # REST framework's views load this module
    from rest_framework.views import APIView

STAFF_PERMISSIONS = {
    "detect": "people.view_person",
    "identify": "people.view_person",
    "enrol": "people.add_photo",
    "manage": "people.change_collection",
    "erase": "people.delete_person",
}


class KeyUser:
    """The user of a request with an API key. Its only permissions are the key's scopes."""

    is_authenticated = True
    is_active = True
    is_staff = False

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        self.pk = key.prefix


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer frk_<prefix>_<secret>`."""

    def authenticate(self, request: Request) -> tuple[KeyUser, ApiKey] | None:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        if not kind:
            return None
        key = api_keys.matching(text.strip()) if kind.lower() == "bearer" else None
        if key is None:
            raise exceptions.AuthenticationFailed(
                "The API key is unknown, revoked or expired. Send `Authorization: Bearer frk_…`."
            )
        return KeyUser(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="facerec-api"'


class StaffSessionAuthentication(SessionAuthentication):
    """The admin's session, with CSRF protection; for staff only."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        authenticated = super().authenticate(request)
        return authenticated if authenticated is not None and authenticated[0].is_staff else None


class HasScope(BasePermission):
    """Each view names the scopes that each method needs; other methods are refused.

    HEAD is GET without a body, so it needs the same scopes.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        if request.user is None:
            raise exceptions.NotAuthenticated("Send an API key as `Authorization: Bearer frk_…`.")
        if request.method == "OPTIONS":
            return True
        method = "GET" if request.method == "HEAD" else request.method
        needed: Sequence[str] = getattr(view, "scopes", {}).get(method, ())
        if not needed:
            self._refuse(request, view)
        missing = [scope for scope in needed if not has_scope(request, scope)]
        if missing:
            raise exceptions.PermissionDenied(
                f"This operation needs the scope {' and '.join(missing)}. Use an API key that has it."
            )
        return True

    def _refuse(self, request: Request, view: APIView) -> NoReturn:
        if request.method not in getattr(view, "allowed_methods", ()):
            raise exceptions.MethodNotAllowed(str(request.method))
        raise exceptions.PermissionDenied


def has_scope(request: Request, scope: str) -> bool:
    if isinstance(request.auth, ApiKey):
        return scope in request.auth.scopes
    return isinstance(request.user, User) and request.user.has_perm(STAFF_PERMISSIONS[scope])


def actor(request: Request) -> Actor:
    """Return who sent the request, for the audit log."""
    if isinstance(request.auth, ApiKey):
        return Actor(f"key:{request.auth.prefix}")
    return Actor(f"user:{request.user.pk}")
