"""`manage.py benchmark`: its figures are there, and it says what it can't do. No time is judged here."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from benchmark import chart, service, synthetic
from benchmark.load import Client
from people import identification
from people.models import ApiKey, Collection, Person
from tests.conftest import STAFF

NOTHING = {"photos": "", "faces": "", "search": "", "rounds": 1}
TIMES = {"p50_ms": 20.0, "p95_ms": 21.0, "p99_ms": 30.0}
STARTS = {".svg": b"<?xml", ".png": b"\x89PNG"}
FIGURES: dict[str, Any] = {
    "engine": "yunet-sface/1",
    "cores": [0],
    "photos": {"480x720": {"engine": TIMES, "against": {"plain": {**TIMES, "ratio": 2.0}}}},
    "faces": {"1": TIMES, "2": TIMES},
    "search": {"1000": TIMES, "10000": TIMES},
    "http": {
        **TIMES, "people": 1000, "workers": 1, "rate": 20.0, "requests_per_second": 30.0, "engine_ms": 16.0,
        "overhead_ms": 7.0,
    },
    "worker": {"private_mb": 100.0},
}  # fmt: skip


def _processes_of(folder: Path) -> list[str]:
    """Return the commands of all processes whose environment names `folder`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another user's
            if str(folder).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
    return found


def test_the_figures_of_stages_others_faces_and_searches_are_written_and_drawn(
    real_engine: None, tmp_path: Path
) -> None:
    said, file, picture = StringIO(), tmp_path / "new" / "figures.json", tmp_path / "other" / "chart.png"
    call_command(
        "benchmark", photos="240x320", faces="2", search="1000", rounds=1, json=file, chart=picture,
        against=["face_recognition", "plain"], stdout=said,
    )  # fmt: skip
    assert picture.read_bytes().startswith(STARTS[".png"])
    figures = json.loads(file.read_text())
    photo = figures["photos"]["240x320"]
    assert photo["faces"] == 1
    assert list(photo["stages"]) == [
        "decode", "detect", "align", "quality", "embed", "search", "decide", "serialise",
    ]  # fmt: skip
    measured = [*photo["stages"].values(), photo["engine"], figures["faces"]["2"], figures["search"]["1000"]]
    for times in measured:
        assert 0 < times["p50_ms"] <= times["p95_ms"] <= times["p99_ms"]
    for other in photo["against"].values():
        assert other["ratio"] == pytest.approx(other["p50_ms"] / photo["engine"]["p50_ms"])
    assert figures["faces"]["2"]["faces"] == 2
    assert figures["search"]["1000"]["right"] == 1.0
    assert "times ours" in said.getvalue()


@pytest.mark.once  # it brings its own
def test_the_service_is_measured_in_an_installation_of_its_own_which_is_gone_afterwards(
    real_engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WARM_UP_SECONDS", 0.5)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    file, picture = tmp_path / "figures.json", tmp_path / "chart.svg"
    call_command("benchmark", **NOTHING, http=20, seconds=1, json=file, chart=picture, stdout=StringIO())
    whole = json.loads(file.read_text())
    figures, worker = whole["http"], whole["worker"]
    assert figures["people"] == 20
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert 0 < figures["load_s"] < figures["ready_s"]
    assert figures["requests_per_second"] > 0
    assert figures["alone"]["p50_ms"] == pytest.approx(figures["engine_ms"] + figures["overhead_ms"])
    assert 0 < worker["private_mb"] <= worker["rss_mb"]
    assert set(figures["overload"]["statuses"]) <= {"200", "503"}
    assert sum(figures["overload"]["statuses"].values()) > 0
    assert picture.read_bytes().startswith(STARTS[".svg"])
    assert list((tmp_path / "scratch").iterdir()) == []
    assert _processes_of(tmp_path / "scratch") == []


@pytest.fixture
def unwilling() -> Iterator[str]:
    """The address of a server that answers 404, whatever is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_load_that_nobody_answers_says_so(unwilling: str) -> None:
    with pytest.raises(RuntimeError, match=r"No request was answered with 200 but with \{404: \d+\}"):
        Client(unwilling, "key", b"photo").send(2, 0.1)
    with pytest.raises(RuntimeError, match="stopped answering: ConnectionRefusedError"):
        Client("http://127.0.0.1:1/", "key", b"photo").send(2, 600)


def test_an_empty_installation_is_filled_with_people_of_whom_one_is_found(
    db: None, real_engine: None
) -> None:
    said = StringIO()
    call_command("benchmark", fill=30, stdout=said)
    assert Person.objects.count() == 30
    (key,) = re.findall("^api key: (.*)$", said.getvalue(), re.M)
    assert ApiKey.matching(key) is not None
    found = identification.identify(
        (Path(settings.FACEREC_SAMPLES_DIR) / synthetic.PROBE).read_bytes(),
        collection=Collection.objects.get(name=synthetic.COLLECTION),
        actor=STAFF,
    )
    assert [face.decision for face in found.faces] == ["match"]


def test_an_installation_that_holds_people_is_not_filled(enrolled: Any) -> None:
    enrolled(1)
    with pytest.raises(CommandError, match="holds people already"):
        call_command("benchmark", fill=5)
    assert Person.objects.count() == 1


@pytest.mark.parametrize("suffix", chart.SUFFIXES)
def test_the_same_figures_give_the_same_chart(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"a{suffix}", tmp_path / "new" / f"b{suffix}"
    chart.draw(FIGURES, first)
    chart.draw(FIGURES, second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(STARTS[suffix])


def test_other_figures_give_another_chart(tmp_path: Path) -> None:
    first, second = tmp_path / "a.svg", tmp_path / "b.svg"
    chart.draw(FIGURES, first)
    chart.draw({**FIGURES, "faces": {"1": TIMES, "2": {**TIMES, "p50_ms": 25.0}}}, second)
    assert first.read_bytes() != second.read_bytes()


def test_what_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.svg", tmp_path / "part.svg"
    chart.draw(FIGURES, whole)
    chart.draw({**FIGURES, "http": {}, "faces": {}, "photos": {}}, part)
    assert whole.read_text().count('id="axes_') == 4
    assert part.read_text().count('id="axes_') == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"photos": "480"}, "is no size"),
        ({"photos": "0x5"}, "is no size"),
        ({"search": "many"}, "is no number"),
        ({"faces": "0"}, "is no number from 1 to 40"),
        ({"faces": "41"}, "is no number from 1 to 40"),
        ({"rounds": 0}, "must be 1 or more"),
        ({"workers": 0}, "must be 1 or more"),
        ({"seconds": -1.0}, "must be 1 or more"),
        ({"http": 0}, "must be 1 or more"),
        ({"http": -1}, "must be 1 or more"),
        ({"fill": 0}, "must be 1 or more"),
        ({"cores": "x"}, "is no number"),
        ({"cores": "9999"}, "can't be bound"),
        ({"chart": Path("chart.pdf")}, r"ends in \.svg or \.png"),
    ],
)
def test_what_can_t_be_meant_is_refused_before_anything_is_measured(
    options: dict[str, object], problem: str
) -> None:
    said = StringIO()
    with pytest.raises(CommandError, match=problem):
        call_command("benchmark", **options, stdout=said)
    assert said.getvalue() == ""
