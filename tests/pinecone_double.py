"""A server with Pinecone's HTTP API, and the faults of a network and an eventually consistent store.

Writes are appended to a log. Each of two replicas has applied the log up to a point at most `lag` seconds
ago, and a random one of them serves each read: so a read may return less than the read before it. Requests
and responses are checked against Pinecone's own OpenAPI document.
"""

from __future__ import annotations

import json
import random
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import yaml
from jsonschema import Draft202012Validator

MAX_REQUEST = 2 * 1024 * 1024
MAX_VECTORS = 1000
LIST_PAGE = 100


@dataclass
class Faults:
    """The probability, 0–1, of each fault per request. Tests change them while the server runs."""

    errors: float = 0.0
    """The response is 503 and the request has no effect."""
    dropped: float = 0.0
    """The connection is closed and the request has no effect."""
    lost: float = 0.0
    """The request takes effect, but the connection is closed without a response."""
    slow: float = 0.0
    """The request takes effect, and the response is sent `slow_seconds` later."""
    slow_seconds: float = 4.0
    late: float = 0.0
    """The response is an immediate 503, but the request takes effect `slow_seconds` later."""
    down: bool = False
    """Every connection is closed without a response."""
    control_down: bool = False
    """Only the control plane is down, which lists, describes and creates indexes."""
    lag: float = 0.0
    """Seconds by which reads may be behind writes, at most."""
    reports_positions: bool = True
    """Whether responses contain positions in the log."""


@dataclass
class _Write:
    at: float
    namespace: str
    vectors: dict[str, np.ndarray | None]
    """Vectors by id; None deletes the vector."""


@dataclass
class _Replica:
    """One replica of the store, which has applied the first `applied` writes of the log."""

    applied: int = 0
    spaces: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # the client closed the connection
            super().handle_error(request, client_address)


class Double:
    """The server, on a free local port, and what tests configure and inspect."""

    def __init__(self, *, seed: int = 1) -> None:
        self.faults = Faults()
        self.requests: dict[str, int] = {}
        self.problems: list[str] = []
        """Requests and responses that don't conform to Pinecone's OpenAPI document or limits."""
        self.indexes: dict[str, dict[str, Any]] = {}
        self._random = random.Random(seed)
        self._log: dict[str, list[_Write]] = {}
        self._replicas: dict[str, list[_Replica]] = {}
        self._lock = threading.RLock()
        double = self

        class Handler(_Handler):
            owner = double

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def running(self) -> Iterator[Double]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def stored(self) -> dict[str, set[str]]:
        """Return the stored ids by namespace, with all writes applied."""
        with self._lock:
            ids_by_namespace: dict[str, set[str]] = {}
            for log in self._log.values():
                for write in log:
                    ids = ids_by_namespace.setdefault(write.namespace, set())
                    for pk, vector in write.vectors.items():
                        (ids.discard if vector is None else ids.add)(pk)
            return {namespace: ids for namespace, ids in ids_by_namespace.items() if ids}

    def occurs(self, probability: float) -> bool:
        """Return whether a fault of this probability, 0–1, occurs now."""
        with self._lock:
            return probability > 0 and self._random.random() < probability

    def write(self, index: str, namespace: str, vectors: dict[str, np.ndarray | None]) -> int:
        """Append a write to the index's log; return its position."""
        with self._lock:
            log = self._log.setdefault(index, [])
            log.append(_Write(time.monotonic(), namespace, vectors))
            return len(log)

    def seen(self, index: str) -> tuple[dict[str, dict[str, np.ndarray]], int]:
        """Return a random replica's vectors by namespace and id, and the position that it has reached."""
        with self._lock:
            replicas = self._replicas.setdefault(index, [_Replica(), _Replica()])
            replica = self._random.choice(replicas)
            log = self._log.get(index, [])
            limit = time.monotonic() - self._random.uniform(0, self.faults.lag)
            while replica.applied < len(log) and (not self.faults.lag or log[replica.applied].at <= limit):
                write = log[replica.applied]
                space = replica.spaces.setdefault(write.namespace, {})
                for pk, vector in write.vectors.items():
                    if vector is None:
                        space.pop(pk, None)
                    else:
                        space[pk] = vector
                replica.applied += 1
            return replica.spaces, replica.applied

    def check(self, path: str, method: str, status: int, request: Any, response: Any) -> None:
        """Record where the request or response doesn't conform to the OpenAPI document."""
        if path.startswith("/indexes"):
            return  # the SDK uses a newer version of the control plane than the published document describes
        if isinstance(request, dict) and "vectors" in request:
            # only the first vectors: checking all their numbers takes longer than clients wait
            request = {**request, "vectors": request["vectors"][:10]}
        problems = _document().problems(path, method, status, request, response)
        with self._lock:
            self.problems += problems


@cache
def _document() -> _Document:
    return _Document()


class _Document:
    """Pinecone's OpenAPI document of the data plane, as JSON Schema validators."""

    def __init__(self) -> None:
        self._content = yaml.safe_load(Path(__file__).with_name("pinecone_openapi.yaml").read_text())
        self._validators: dict[str, Any] = {}

    def problems(self, path: str, method: str, status: int, request: Any, response: Any) -> list[str]:
        """Return how the request and the response differ from the document."""
        operation = self._content["paths"][path][method]
        problems = []
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if body is not None and request is not None:
            problems += self._errors(body, request, f"request {method} {path}")
        responses = operation["responses"]
        documented = responses.get(str(status)) or responses.get(f"{status // 100}XX")
        if documented is None:
            return [*problems, f"{method} {path} has no response {status}"]
        schema = documented.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None and response is not None:
            problems += self._errors(schema, response, f"response {status} {method} {path}")
        return problems

    def _errors(self, schema: Any, value: Any, subject: str) -> list[str]:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            json_schema = _as_json_schema({**schema, "components": self._content["components"]})
            self._validators[key] = Draft202012Validator(json_schema)
        errors = self._validators[key].iter_errors(value)
        return [f"{subject}: {error.json_path} {error.message[:200]}" for error in errors]


def _as_json_schema(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema, where `nullable` is expressed as a type."""
    if isinstance(schema, list):
        return [_as_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    json_schema = {
        name: _as_json_schema(value)
        for name, value in schema.items()
        if name not in ("nullable", "discriminator")
    }
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        json_schema["type"] = [schema["type"], "null"]
    return json_schema


class _Handler(BaseHTTPRequestHandler):
    owner: Double
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self._respond("get")

    def do_POST(self) -> None:
        self._respond("post")

    def do_DELETE(self) -> None:
        self._respond("delete")

    def _respond(self, method: str) -> None:
        owner, faults = self.owner, self.owner.faults
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        owner.requests[address.path] = owner.requests.get(address.path, 0) + 1
        control_down = faults.control_down and address.path.startswith("/indexes")
        if faults.down or control_down or owner.occurs(faults.dropped):
            self.close_connection = True
            return
        if owner.occurs(faults.errors):
            self._send(503, {"code": 14, "message": "unavailable", "details": []}, {})
            return
        is_late = owner.occurs(faults.late)
        if is_late:
            self._send(503, {"code": 14, "message": "unavailable", "details": []}, {})
            time.sleep(faults.slow_seconds)
        headers: dict[str, str] = {}
        documented_path: str | None = None
        if not self.headers.get("Api-Key"):
            status, response = 401, {"code": 16, "message": "no key", "details": []}
        elif length > MAX_REQUEST:
            owner.problems.append(f"a request of {length} bytes")
            status, response = 400, {"code": 3, "message": "too large", "details": []}
        else:
            body = json.loads(raw) if raw else None
            status, response, headers, documented_path = self._route(method, address.path, query, body)
            if documented_path is not None:
                owner.check(documented_path, method, status, body, response)
        if is_late:
            return
        if owner.occurs(faults.lost):
            self.close_connection = True
            return
        if owner.occurs(faults.slow):
            time.sleep(faults.slow_seconds)
        self._send(status, response, headers if faults.reports_positions else {})

    def _send(self, status: int, response: Any, headers: dict[str, str]) -> None:
        content = json.dumps(response).encode() if response is not None else b""
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client no longer waits

    def _route(
        self, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any, dict[str, str], str | None]:
        """Return the status, body and headers of the response, and the path as the document names it."""
        owner = self.owner
        if path == "/indexes":
            if method == "get":
                return 200, {"indexes": list(owner.indexes.values())}, {}, None
            model = owner.indexes.setdefault(body["name"], self._model(body))
            return 201, model, {}, None
        if match := re.fullmatch(r"/indexes/([^/]+)", path):
            index = owner.indexes.get(match[1])
            if index is None:
                return (
                    404,
                    {"status": 404, "error": {"code": "NOT_FOUND", "message": "no such index"}},
                    {},
                    None,
                )
            return 200, index, {}, None
        # The data plane. All indexes have the same address, so requests are served from the first one.
        index_name = next(iter(owner.indexes), "")
        return self._data(index_name, method, path, query, body)

    def _model(self, body: dict[str, Any]) -> dict[str, Any]:
        fields = body.get("schema", {}).get("fields", {}).values()
        vector = next((field for field in fields if field.get("type") == "dense_vector"), body)
        if vector.get("metric", "cosine") != "cosine":
            self.owner.problems.append(f"metric {vector.get('metric')}")
        return {
            **{name: body[name] for name in ("spec", "schema", "deployment") if name in body},
            "name": body["name"], "dimension": vector["dimension"], "metric": "cosine",
            "vector_type": "dense", "host": self.owner.url, "deletion_protection": "disabled",
            "status": {"ready": True, "state": "Ready"},
        }  # fmt: skip

    def _data(
        self, index: str, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any, dict[str, str], str | None]:
        owner = self.owner
        namespace = (body or {}).get("namespace") or query.get("namespace", [""])[0]
        if path == "/vectors/upsert":
            vectors = body["vectors"]
            if not 1 <= len(vectors) <= MAX_VECTORS:
                owner.problems.append(f"{len(vectors)} vectors in one upsert")
            for vector in vectors:
                if vector.get("metadata"):
                    owner.problems.append("metadata was sent")
            position = owner.write(
                index,
                namespace,
                {vector["id"]: np.array(vector["values"], dtype=np.float32) for vector in vectors},
            )
            return (
                200,
                {"upsertedCount": len(vectors)},
                {"x-pinecone-request-lsn": str(position)},
                path,
            )
        if path == "/vectors/delete":
            if body.get("deleteAll"):
                deletions: dict[str, np.ndarray | None] = dict.fromkeys(owner.stored().get(namespace, ()))
            else:
                deletions = dict.fromkeys(body["ids"])
            position = owner.write(index, namespace, deletions)
            return 200, {}, {"x-pinecone-request-lsn": str(position)}, path
        spaces, reached = owner.seen(index)
        space = spaces.get(namespace, {})
        read_headers = {"x-pinecone-max-indexed-lsn": str(reached)}
        usage = {"readUnits": 1}
        if path == "/query":
            top_k = body["topK"]
            if not 1 <= top_k <= 10_000:
                owner.problems.append(f"topK {top_k}")
            with owner._lock:
                ids, rows = list(space), list(space.values())
            matches = []
            if ids:
                matrix = np.stack(rows)
                probe = np.array(body["vector"], dtype=np.float32)
                scores = (
                    matrix @ probe / np.maximum(np.linalg.norm(matrix, axis=1) * np.linalg.norm(probe), 1e-12)
                )
                nearest = np.argsort(-scores)[:top_k]
                matches = [{"id": ids[row], "score": float(scores[row]), "values": []} for row in nearest]
            response = {"matches": matches, "namespace": namespace, "usage": usage}
            return 200, response, read_headers, path
        if path == "/vectors/fetch":
            requested_ids = query.get("ids", [])
            if len(requested_ids) > MAX_VECTORS:
                owner.problems.append(f"{len(requested_ids)} ids in one fetch")
            with owner._lock:
                fetched = {
                    pk: {"id": pk, "values": space[pk].tolist()} for pk in requested_ids if pk in space
                }
            return 200, {"vectors": fetched, "namespace": namespace, "usage": usage}, {}, path
        if path == "/vectors/list":
            limit = int(query.get("limit", [LIST_PAGE])[0])
            with owner._lock:
                ids = sorted(pk for pk in space if pk > query.get("paginationToken", [""])[0])
            page: dict[str, Any] = {
                "vectors": [{"id": pk} for pk in ids[:limit]], "namespace": namespace, "usage": usage,
            }  # fmt: skip
            if len(ids) > limit:
                page["pagination"] = {"next": ids[limit - 1]}
            return 200, page, {}, path
        if path == "/describe_index_stats":
            with owner._lock:
                counts = {name: {"vectorCount": len(ids)} for name, ids in spaces.items() if ids}
            total = sum(count["vectorCount"] for count in counts.values())
            dimension = owner.indexes.get(index, {}).get("dimension", 0)
            return 200, {
                "namespaces": counts, "dimension": dimension, "indexFullness": 0, "totalVectorCount": total,
            }, {}, path  # fmt: skip
        if matched := re.fullmatch(r"/namespaces/(.+)", path):
            name = unquote(matched[1])
            if name not in owner.stored():
                return 404, {"code": 5, "message": "no such namespace", "details": []}, {}, None
            owner.write(index, name, dict.fromkeys(owner.stored()[name]))
            return 200, {}, {}, "/namespaces/{namespace}"
        owner.problems.append(f"unknown path {method} {path}")
        return 404, {"code": 5, "message": "unknown path", "details": []}, {}, None


def pinecone_index(double: Double) -> dict[str, Any]:
    """Return a TEMPLATE_INDEX setting that uses the double as Pinecone."""
    return {
        "BACKEND": "people.indexes.pinecone.PineconeIndex",
        "OPTIONS": {
            "api_key": "pcsk_of-no-account",
            "name": "facerec",
            "cloud": "aws",
            "region": "us-east-1",
            "control_host": double.url,
        },
    }
