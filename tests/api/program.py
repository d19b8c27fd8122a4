"""A program that uses the API, and what it expects of it."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

IDENTIFY = "/api/v1/collections/default/identify/"
Answer = Any


class Program(APIClient):
    """A program with an API key, which sends photos as multipart and everything else as JSON."""

    def send_photo(self, path: str, data: bytes, name: str = "photo.jpg", **headers: str) -> Answer:
        return self.post(path, {"photo": SimpleUploadedFile(name, data)}, format="multipart", headers=headers)


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json"), (
        response.content
    )
    content: dict[str, Any] = response.json()
    assert (content["status"], content["code"]) == (status, code)
    assert content["request_id"] == response["X-Request-ID"]
    assert content["detail"]
    return content
