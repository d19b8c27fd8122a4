"""`manage.py evaluate`: measure an engine on a folder of photos, and calibrate it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from people import evaluation, evaluation_report, extraction, photos, quality
from people.engines import build_engine, engine_id, get_engine
from people.engines.base import FaceEngine
from people.errors import ModelMissing, PhotoRejected

CACHE_FORMAT = 2
"""To be raised when extraction or the quality limits change, so that nobody is shown old results."""
SAVED_EVERY = 100
"""Photos."""
LINE_EVERY_SECONDS = 15
LISTED = 20
"""Unreadable photos that are named; the rest are counted."""


class Command(BaseCommand):
    help = (
        "Measure detection, verification and open-set identification on FOLDER/person/photo.jpg. "
        "Photos that were extracted before are not extracted again, so an interrupted run resumes."
    )
    # The check for missing calibrations must not stop the command that makes them.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="one folder a person, photos in it")
        parser.add_argument(
            "--engine", metavar="NAME", help="onnx, dlib or a dotted path (default: the settings' engine)"
        )
        parser.add_argument(
            "--enrol", type=_positive, default=1, metavar="N", help="photos enrolled for each person (1)"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
        parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots and index.html into DIR")
        parser.add_argument(
            "--calibration", type=Path, metavar="FILE", help="write the engine's calibration to FILE"
        )
        parser.add_argument(
            "--fresh", action="store_true", help="extract every photo again, whatever earlier runs kept"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        people = _people(options["folder"])
        engine = _engine(options["engine"])
        name = engine_id(engine)
        with _Cache.opened(name) as cache:
            outcomes, unreadable = self._extract(people, engine, cache, fresh=options["fresh"])
        if not outcomes:
            raise CommandError(
                f"No photo in {options['folder']} could be read. Give a folder that holds one folder a "
                "person, with JPEG, PNG, WebP or HEIC photos in it."
            )
        measured = evaluation.evaluate(_sample(outcomes, engine.dimension), options["enrol"])
        figures = {
            "engine": name,
            "command": _command(options),
            **measured.figures,
            "unreadable": {"count": len(unreadable), "photos": unreadable},
        }
        self.stdout.write(evaluation_report.table(figures))
        if options["calibration"]:
            self._calibrate(options["calibration"], figures, measured.pairs)
        if options["json"]:
            _write_json(options["json"], figures)
            self.stdout.write(f"Figures: {options['json']}")
        if options["plots"]:
            page = evaluation_report.write(options["plots"], figures, measured)
            self.stdout.write(f"Plots: {page}")

    def _extract(
        self, people: dict[str, list[Path]], engine: FaceEngine, cache: _Cache, *, fresh: bool
    ) -> tuple[list[tuple[int, _Outcome]], list[str]]:
        """Return (person, outcome) of each readable photo, and the names of those that aren't."""
        outcomes: list[tuple[int, _Outcome]] = []
        unreadable: list[str] = []
        again = 0
        work = [(number, path) for number, own in enumerate(people.values()) for path in own]
        try:
            for person, path in _with_progress(work):
                name = f"{path.parent.name}/{path.name}"
                try:
                    data = path.read_bytes()
                    digest = hashlib.sha256(data).digest()
                    outcome = None if fresh else cache.get(digest)
                    again += outcome is not None
                    if outcome is None:
                        outcome = _outcome(data, engine)
                        cache.put(digest, outcome)
                except (PhotoRejected, OSError) as error:
                    unreadable.append(f"{name}: {error}")
                    continue
                outcomes.append((person, outcome))
        except KeyboardInterrupt:
            cache.save()
            raise CommandError(
                f"Interrupted after {len(outcomes)} of {len(work)} photos. They are kept: the same command "
                "goes on from there.",
                returncode=130,
            ) from None
        if again:
            self.stdout.write(
                f"{again} of {len(work)} photos were extracted in an earlier run and taken from "
                f"{cache.path}. Use --fresh to extract them again."
            )
        if unreadable:
            one = len(unreadable) == 1
            photos_are = f"photo{'' if one else 's'} couldn't be read and {'is' if one else 'are'}"
            self.stdout.write(f"{len(unreadable)} {photos_are} left out:")
            for line in unreadable[:LISTED]:
                self.stdout.write(f"  {line}")
            if len(unreadable) > LISTED:
                self.stdout.write(f"  … and {len(unreadable) - LISTED} more (--json lists them all)")
        return outcomes, unreadable

    def _calibrate(self, path: Path, figures: dict[str, Any], pairs: evaluation.PairScores) -> None:
        points = evaluation.calibration_points(pairs)
        if len(points) < 2:
            raise CommandError(
                f"{pairs.impostor_pairs} pairs of different people are too few for a calibration: FMR 0.01 "
                f"needs {evaluation.LEAST_ABOVE} of them above its threshold. Give a folder with at least "
                "50 people."
            )
        content = {
            "engine": figures["engine"],
            "points": [{"fmr": fmr, "cosine": round(cosine, 5)} for fmr, cosine in points],
            "measured_on": {
                "photos": figures["photos"],
                "persons": figures["persons"],
                "impostor_pairs": pairs.impostor_pairs,
                "command": figures["command"],
            },
        }
        _write_json(path, content)
        self.stdout.write(f"Calibration: {path}")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What is kept of one photo."""

    faces: int
    refused: bool
    """Whether quality `auto` would refuse its subject, or no face was found."""
    reference: bytes
    """(d,) float32 of unit length, of the photo's subject; empty without a face."""
    probe: bytes


def _outcome(data: bytes, engine: FaceEngine) -> _Outcome:
    image = photos.decode(data)
    found = extraction.extract(image, engine)
    if not found:
        return _Outcome(0, True, b"", b"")
    height, width = image.shape[:2]
    meant = found[evaluation.subject([one.face.box for one in found], width, height)]
    refused = bool(quality.judge(meant.measures, "auto"))
    (reference,) = extraction.vectors([meant], engine, extraction.Purpose.REFERENCE)
    (probe,) = extraction.vectors([meant], engine, extraction.Purpose.PROBE)
    return _Outcome(len(found), refused, reference.tobytes(), probe.tobytes())


def _sample(outcomes: list[tuple[int, _Outcome]], dimension: int) -> evaluation.Sample:
    references, probes = np.zeros((2, len(outcomes), dimension), dtype=np.float32)
    for row, (_, outcome) in enumerate(outcomes):
        if outcome.faces:
            references[row] = np.frombuffer(outcome.reference, dtype=np.float32)
            probes[row] = np.frombuffer(outcome.probe, dtype=np.float32)
    return evaluation.Sample(
        references,
        probes,
        np.array([outcome.faces > 0 for _, outcome in outcomes]),
        np.array([outcome.refused for _, outcome in outcomes]),
        np.array([outcome.faces > 1 for _, outcome in outcomes]),
        np.array([person for person, _ in outcomes], dtype=np.int64),
    )


class _Cache:
    """Outcomes by engine and sha256 of the photo, in one SQLite file."""

    def __init__(self, path: Path, engine: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._engine = engine
        self._connection = connection
        self._unsaved = 0
        connection.execute(
            "CREATE TABLE IF NOT EXISTS outcome (engine TEXT, photo BLOB, faces INTEGER, refused INTEGER, "
            "reference BLOB, probe BLOB, PRIMARY KEY (engine, photo)) WITHOUT ROWID"
        )

    @classmethod
    @contextmanager
    def opened(cls, engine: str) -> Iterator[_Cache]:
        """Open the cache of `engine`; what was put is saved at the end, whatever happens."""
        path = Path(settings.FACEREC_VAR_DIR) / "evaluation" / f"outcomes-{CACHE_FORMAT}.sqlite3"
        # these are templates of people: nobody else on the machine reads them
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, timeout=60)) as connection:
            cache = cls(path, engine, connection)
            try:
                yield cache
            finally:
                cache.save()

    def get(self, photo: bytes) -> _Outcome | None:
        row = self._connection.execute(
            "SELECT faces, refused, reference, probe FROM outcome WHERE engine = ? AND photo = ?",
            (self._engine, photo),
        ).fetchone()
        return None if row is None else _Outcome(row[0], bool(row[1]), row[2], row[3])

    def put(self, photo: bytes, outcome: _Outcome) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO outcome VALUES (?, ?, ?, ?, ?, ?)",
            (self._engine, photo, outcome.faces, outcome.refused, outcome.reference, outcome.probe),
        )
        self._unsaved += 1
        if self._unsaved >= SAVED_EVERY:
            self.save()

    def save(self) -> None:
        self._connection.commit()
        self._unsaved = 0


def _with_progress(work: list[tuple[int, Path]]) -> Iterator[tuple[int, Path]]:
    """Yield the work with a progress bar; where nobody watches, with a line now and then."""
    if sys.stderr.isatty():
        yield from tqdm(work, unit="photo", file=sys.stderr, desc="Extracting")
        return
    told = time.monotonic()
    for done, one in enumerate(work):
        if time.monotonic() - told >= LINE_EVERY_SECONDS:
            told = time.monotonic()
            sys.stderr.write(f"Extracting: {done} of {len(work)} photos\n")
        yield one


def _people(folder: Path) -> dict[str, list[Path]]:
    """Return each person's photos by file name, persons in the order of their names."""
    if not folder.is_dir():
        raise CommandError(f"There is no folder {folder}. Give one that holds one folder a person.")
    people = {
        person.name: sorted(
            path for path in person.iterdir() if path.is_file() and not path.name.startswith(".")
        )
        for person in sorted(folder.iterdir())
        if person.is_dir() and not person.name.startswith(".")
    }
    if not people:
        raise CommandError(
            f"{folder} holds no folders. Put each person's photos into a folder of their own: "
            f"{folder / 'person' / 'photo.jpg'}."
        )
    return people


def _engine(name: str | None) -> FaceEngine:
    try:
        return build_engine(name) if name else get_engine()
    except ModelMissing as error:
        raise CommandError(error.message) from error
    except (ImportError, ImproperlyConfigured) as error:
        raise CommandError(
            f"Engine {name or settings.FACE_ENGINE['BACKEND']} can't be built: {error}. Use onnx, dlib "
            "(needs requirements/dlib.txt) or a dotted path."
        ) from error


def _command(options: dict[str, Any]) -> str:
    """Return the command that makes these figures, without the paths of this machine."""
    words = ["manage.py evaluate", Path(options["folder"]).resolve().name]
    if options["engine"]:
        words.append(f"--engine {options['engine']}")
    words.append(f"--enrol {options['enrol']}")
    return " ".join(words)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a number of photos: use 1 or more")
    return int(text)
