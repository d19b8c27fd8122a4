"""A Python client that openapi-python-client generates from the served document."""

from __future__ import annotations

import importlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

PACKAGE = "facerec_client"


def generate(document: dict[str, Any], folder: Path) -> None:
    """Write the client's package into the folder. Fails if the generator had to leave anything out."""
    folder.mkdir()
    (folder / "openapi.json").write_text(json.dumps(document))
    (folder / "generator.json").write_text(json.dumps({"post_hooks": []}))  # would format the code
    generator = Path(sys.executable).parent / "openapi-python-client"
    result = subprocess.run(
        [generator, "generate", "--path", "openapi.json", "--config", "generator.json", "--meta", "none",
         "--output-path", PACKAGE, "--fail-on-warning"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


class Caller:
    """Calls operations of the generated package, which must be importable, and remembers which it called."""

    def __init__(self, document: dict[str, Any], url: str, key: str) -> None:
        client: Any = importlib.import_module(f"{PACKAGE}.client")
        self.models: Any = importlib.import_module(f"{PACKAGE}.models")
        self.types: Any = importlib.import_module(f"{PACKAGE}.types")
        self._client = client.AuthenticatedClient(
            base_url=url, token=key, raise_on_unexpected_status=True, timeout=60
        )
        self._modules = {
            operation[
                "operationId"
            ]: f"{PACKAGE}.api.{operation['tags'][0]}.{_snake(operation['operationId'])}"
            for item in document["paths"].values()
            for operation in item.values()
        }
        self.operations = set(self._modules)
        self.succeeded: set[str] = set()
        self.failed: set[int] = set()

    def __enter__(self) -> Caller:
        self._client.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._client.__exit__(*error)

    def response(self, operation: str, *path: Any, **options: Any) -> Any:
        """Call an operation and return the client's Response, with `status_code`, `headers` and `parsed`."""
        module: ModuleType | Any = importlib.import_module(self._modules[operation])
        response = module.sync_detailed(*path, client=self._client, **options)
        if response.status_code < 400:
            self.succeeded.add(operation)
        else:
            self.failed.add(int(response.status_code))
        return response

    def __call__(self, operation: str, *path: Any, **options: Any) -> Any:
        """Call an operation that must succeed, and return the model of its content."""
        response = self.response(operation, *path, **options)
        assert response.status_code < 400, response.content
        return response.parsed

    def problem(self, status: int, operation: str, *path: Any, **options: Any) -> Any:
        """Call an operation that must fail with this status, and return the Problem."""
        response = self.response(operation, *path, **options)
        assert response.status_code == status, response.content
        assert isinstance(response.parsed, self.models.Problem)
        assert response.parsed.status == status
        assert response.parsed.request_id == response.headers["X-Request-ID"]
        return response.parsed

    def pages(self, operation: str, *path: Any, **options: Any) -> list[list[Any]]:
        """Follow a list to its end, two rows a page, and return the pages."""
        page = self(operation, *path, page_size=2, **options)
        pages = [page.results]
        while page.next_ is not None:
            (cursor,) = parse_qs(urlsplit(page.next_).query)["cursor"]
            page = self(operation, *path, page_size=2, cursor=cursor, **options)
            pages.append(page.results)
        return pages

    def file(self, data: bytes, name: str) -> Any:
        """Return a file for a multipart body."""
        return self.types.File(io.BytesIO(data), file_name=name)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
