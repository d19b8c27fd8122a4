"""A server that speaks Pinecone's HTTP, with the faults a network and an eventually consistent store have.

Vectors live in a log. Each of two copies of the store has read the log up to a point that lies
`lag` seconds back at most, and every read is answered by one of them at random: so a read may see
less than the read before it. Requests and responses are checked against Pinecone's own OpenAPI document.
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
    """How often, 0–1, a request meets which fault; changed while the server runs."""

    errors: float = 0.0
    """Answered 503 without being done."""
    dropped: float = 0.0
    """The connection is closed without being done."""
    lost: float = 0.0
    """Done, and the connection closed without an answer."""
    slow: float = 0.0
    """Done, and answered `slow_seconds` later."""
    slow_seconds: float = 4.0
    late: float = 0.0
    """Answered 503 at once, and done `slow_seconds` later all the same."""
    down: bool = False
    control_down: bool = False
    """Only the control plane, which lists, describes and makes indexes."""
    lag: float = 0.0
    """Seconds by which reads may be behind writes."""
    tells_positions: bool = True
    """Whether answers bear positions in the log."""


@dataclass
class _Write:
    at: float
    namespace: str
    vectors: dict[str, np.ndarray | None]
    """None: deleted."""


@dataclass
class _Copy:
    """One copy of the store: a prefix of the log, applied."""

    applied: int = 0
    spaces: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # clients that gave up are no fault of the double
            super().handle_error(request, client_address)


class Double:
    def __init__(self, *, seed: int = 1) -> None:
        self.faults = Faults()
        self.requests: dict[str, int] = {}
        self.problems: list[str] = []
        """What didn't fit Pinecone's OpenAPI document or limits."""
        self.indexes: dict[str, dict[str, Any]] = {}
        self._random = random.Random(seed)
        self._log: dict[str, list[_Write]] = {}
        self._copies: dict[str, list[_Copy]] = {}
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
        """Return the ids by namespace once every write has arrived."""
        with self._lock:
            found: dict[str, set[str]] = {}
            for log in self._log.values():
                for write in log:
                    ids = found.setdefault(write.namespace, set())
                    for pk, vector in write.vectors.items():
                        (ids.discard if vector is None else ids.add)(pk)
            return {namespace: ids for namespace, ids in found.items() if ids}

    def chance(self, share: float) -> bool:
        with self._lock:
            return share > 0 and self._random.random() < share

    def write(self, index: str, namespace: str, vectors: dict[str, np.ndarray | None]) -> int:
        with self._lock:
            log = self._log.setdefault(index, [])
            log.append(_Write(time.monotonic(), namespace, vectors))
            return len(log)

    def seen(self, index: str) -> tuple[dict[str, dict[str, np.ndarray]], int]:
        """Return what one of the copies shows, and how far it has read."""
        with self._lock:
            copies = self._copies.setdefault(index, [_Copy(), _Copy()])
            copy = self._random.choice(copies)
            log = self._log.get(index, [])
            behind = self._random.uniform(0, self.faults.lag)
            limit = time.monotonic() - behind
            while copy.applied < len(log) and (not self.faults.lag or log[copy.applied].at <= limit):
                write = log[copy.applied]
                space = copy.spaces.setdefault(write.namespace, {})
                for pk, vector in write.vectors.items():
                    if vector is None:
                        space.pop(pk, None)
                    else:
                        space[pk] = vector
                copy.applied += 1
            return copy.spaces, copy.applied

    def check(self, path: str, method: str, status: int, request: Any, answer: Any) -> None:
        if path.startswith("/indexes"):
            return  # the SDK creates indexes by a newer control plane than the published document describes
        if isinstance(request, dict) and "vectors" in request:
            # the first of many alike: checking all numbers takes longer than clients wait
            request = {**request, "vectors": request["vectors"][:10]}
        problems = _document().problems(path, method, status, request, answer)
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

    def problems(self, path: str, method: str, status: int, request: Any, answer: Any) -> list[str]:
        operation = self._content["paths"][path][method]
        found = []
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if body is not None and request is not None:
            found += self._errors(body, request, f"request {method} {path}")
        said = operation["responses"].get(str(status)) or operation["responses"].get(f"{status // 100}XX")
        if said is None:
            return [*found, f"{method} {path} never answers {status}"]
        schema = said.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None and answer is not None:
            found += self._errors(schema, answer, f"answer {status} {method} {path}")
        return found

    def _errors(self, schema: Any, value: Any, where: str) -> list[str]:
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = _nullable({**schema, "components": self._content["components"]})
            self._validators[key] = Draft202012Validator(whole)
        errors = self._validators[key].iter_errors(value)
        return [f"{where}: {error.json_path} {error.message[:200]}" for error in errors]


def _nullable(schema: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: `nullable` is a type there."""
    if isinstance(schema, list):
        return [_nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {
        name: _nullable(value) for name, value in schema.items() if name not in ("nullable", "discriminator")
    }
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        plain["type"] = [schema["type"], "null"]
    return plain


class _Handler(BaseHTTPRequestHandler):
    owner: Double
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None: ...

    def do_GET(self) -> None:
        self._answer("get")

    def do_POST(self) -> None:
        self._answer("post")

    def do_DELETE(self) -> None:
        self._answer("delete")

    def _answer(self, method: str) -> None:
        owner, faults = self.owner, self.owner.faults
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        owner.requests[address.path] = owner.requests.get(address.path, 0) + 1
        control_down = faults.control_down and address.path.startswith("/indexes")
        if faults.down or control_down or owner.chance(faults.dropped):
            self._hang_up()
            return
        if owner.chance(faults.errors):
            self._send(503, {"code": 14, "message": "unavailable", "details": []}, {})
            return
        late = owner.chance(faults.late)
        if late:
            self._send(503, {"code": 14, "message": "unavailable", "details": []}, {})
            time.sleep(faults.slow_seconds)
        headers: dict[str, str] = {}
        told: str | None = None
        if not self.headers.get("Api-Key"):
            status, answer = 401, {"code": 16, "message": "no key", "details": []}
        elif length > MAX_REQUEST:
            owner.problems.append(f"a request of {length} bytes")
            status, answer = 400, {"code": 3, "message": "too large", "details": []}
        else:
            body = json.loads(raw) if raw else None
            status, answer, headers, told = self._route(method, address.path, query, body)
            if told is not None:
                owner.check(told, method, status, body, answer)
        if late:
            return
        if owner.chance(faults.lost):
            self._hang_up()
            return
        if owner.chance(faults.slow):
            time.sleep(faults.slow_seconds)
        self._send(status, answer, headers if faults.tells_positions else {})

    def _hang_up(self) -> None:
        self.close_connection = True

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        content = json.dumps(answer).encode() if answer is not None else b""
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # the client gave up

    def _route(
        self, method: str, path: str, query: dict[str, list[str]], body: Any
    ) -> tuple[int, Any, dict[str, str], str | None]:
        owner = self.owner
        if path == "/indexes":
            if method == "get":
                return 200, {"indexes": list(owner.indexes.values())}, {}, None
            model = owner.indexes.setdefault(body["name"], self._model(body))
            return 201, model, {}, None
        if found := re.fullmatch(r"/indexes/([^/]+)", path):
            index = owner.indexes.get(found[1])
            if index is None:
                return (
                    404,
                    {"status": 404, "error": {"code": "NOT_FOUND", "message": "no such index"}},
                    {},
                    None,
                )
            return 200, index, {}, None
        # the data plane: every index of this double answers at the same address, told apart by a prefix
        index_name = next(iter(owner.indexes), "")
        return self._data(index_name, method, path, query, body)

    def _model(self, body: dict[str, Any]) -> dict[str, Any]:
        fields = body.get("schema", {}).get("fields", {}).values()
        vector = next((one for one in fields if one.get("type") == "dense_vector"), body)
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
                index, namespace, {one["id"]: np.array(one["values"], dtype=np.float32) for one in vectors}
            )
            return (
                200,
                {"upsertedCount": len(vectors)},
                {"x-pinecone-request-lsn": str(position)},
                path,
            )
        if path == "/vectors/delete":
            if body.get("deleteAll"):
                gone: dict[str, np.ndarray | None] = dict.fromkeys(owner.stored().get(namespace, ()))
            else:
                gone = dict.fromkeys(body["ids"])
            position = owner.write(index, namespace, gone)
            return 200, {}, {"x-pinecone-request-lsn": str(position)}, path
        spaces, reached = owner.seen(index)
        space = spaces.get(namespace, {})
        reads = {"x-pinecone-max-indexed-lsn": str(reached)}
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
                best = np.argsort(-scores)[:top_k]
                matches = [{"id": ids[row], "score": float(scores[row]), "values": []} for row in best]
            answer = {"matches": matches, "namespace": namespace, "usage": usage}
            return 200, answer, reads, path
        if path == "/vectors/fetch":
            wanted = query.get("ids", [])
            if len(wanted) > MAX_VECTORS:
                owner.problems.append(f"{len(wanted)} ids in one fetch")
            with owner._lock:
                found = {pk: {"id": pk, "values": space[pk].tolist()} for pk in wanted if pk in space}
            return 200, {"vectors": found, "namespace": namespace, "usage": usage}, {}, path
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
            total = sum(one["vectorCount"] for one in counts.values())
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
    """Return the setting TEMPLATE_INDEX that talks to the double."""
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
