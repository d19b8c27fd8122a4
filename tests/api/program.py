"""A program that uses the API, and the problem documents that it expects."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

IDENTIFY = "/api/v1/collections/default/identify/"
Response = Any
"""The test client's response, which has attributes that its class does not declare."""


class Program(APIClient):
    """A program with an API key, which sends photos as multipart and everything else as JSON."""

    def send_photo(self, path: str, data: bytes, name: str = "photo.jpg", **headers: str) -> Response:
        return self.post(path, {"photo": SimpleUploadedFile(name, data)}, format="multipart", headers=headers)


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """Check that the response is a problem with this status and code, and return it."""
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json"), (
        response.content
    )
    content: dict[str, Any] = response.json()
    assert (content["status"], content["code"]) == (status, code)
    assert content["request_id"] == response["X-Request-ID"]
    assert content["detail"]
    return content
