"""Evaluates an engine on a folder of photos, laid out as FOLDER/person/photo.jpg."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from people.engines import engine_id
from people.engines.base import FaceEngine
from people.errors import EvaluationFailed, EvaluationInterrupted, PhotoRejected
from people.evaluation.figures import Evaluation, evaluate
from people.evaluation.outcome_cache import OutcomeCache
from people.evaluation.outcomes import Outcome, Outcomes, outcome_of

LINE_EVERY_SECONDS = 15
"""Interval between progress lines if the output isn't a terminal."""
LISTED = 20
"""How many unreadable photos are listed by name. The rest are only counted."""


@dataclass(frozen=True, slots=True)
class FolderEvaluation:
    """An engine's evaluation on a folder of photos."""

    engine: str
    """Its id, such as "yunet-sface/1"."""
    command: str
    """The command that repeats this evaluation."""
    evaluation: Evaluation
    unreadable: list[str]
    """Each photo that was left out, as `person/file: reason`."""
    reused: int
    """How many photos had an outcome in the cache."""
    cache: Path


def evaluate_folder(
    folder: Path, engine: FaceEngine, *, enrol: int, command: str, cache_folder: Path, fresh: bool = False
) -> FolderEvaluation:
    """Evaluate `engine` on the photos in `folder`, with `enrol` photos per person enrolled.

    Outcomes are cached in `cache_folder`, so an interrupted evaluation resumes; `fresh` extracts all
    photos again. Progress is reported on stderr. `command` is recorded with the result.
    Raises EvaluationFailed or, on Ctrl-C, EvaluationInterrupted.
    """
    persons = _persons(folder)
    engine_name = engine_id(engine)
    with OutcomeCache.opened(cache_folder, engine_name) as cache:
        extraction = _extract(persons, engine, cache, fresh=fresh)
    if not extraction.outcomes:
        raise EvaluationFailed(
            f"No photo in {folder} could be read. Pass a folder that contains one folder for each person, "
            "with JPEG, PNG, WebP or HEIC photos in it." + _listed(extraction.unreadable)
        )
    outcomes = Outcomes.of(extraction.outcomes, extraction.persons, engine.dimension)
    return FolderEvaluation(
        engine=engine_name,
        command=command,
        evaluation=evaluate(outcomes, enrol),
        unreadable=extraction.unreadable,
        reused=extraction.reused,
        cache=cache.path,
    )


def _persons(folder: Path) -> list[list[Path]]:
    """Return each person's photos, sorted by file name, with the persons sorted by folder name."""
    if not folder.is_dir():
        raise EvaluationFailed(
            f"There is no folder {folder}. Pass a folder that contains a folder for each person."
        )
    persons = [
        sorted(path for path in person.iterdir() if path.is_file() and not path.name.startswith("."))
        for person in sorted(folder.iterdir())
        if person.is_dir() and not person.name.startswith(".")
    ]
    if not persons:
        raise EvaluationFailed(
            f"{folder} contains no folders. Put each person's photos into a separate folder: "
            f"{folder / 'person' / 'photo.jpg'}."
        )
    return persons


@dataclass(slots=True)
class _Extraction:
    """The outcomes of the readable photos, and the person each of them shows."""

    outcomes: list[Outcome]
    persons: list[int]
    unreadable: list[str]
    reused: int


def _extract(
    persons: list[list[Path]], engine: FaceEngine, cache: OutcomeCache, *, fresh: bool
) -> _Extraction:
    extraction = _Extraction([], [], [], 0)
    photos = [(person, path) for person, paths in enumerate(persons) for path in paths]
    try:
        for person, path in _with_progress(photos):
            try:
                data = path.read_bytes()
                sha256 = hashlib.sha256(data).digest()
                outcome = None if fresh else cache.get(sha256)
                if outcome is not None:
                    extraction.reused += 1
                else:
                    outcome = outcome_of(data, engine)
                    cache.put(sha256, outcome)
            except (PhotoRejected, OSError) as error:
                extraction.unreadable.append(f"{path.parent.name}/{path.name}: {error}")
                continue
            extraction.outcomes.append(outcome)
            extraction.persons.append(person)
    except KeyboardInterrupt:
        raise EvaluationInterrupted(
            f"Interrupted after {len(extraction.outcomes)} of {len(photos)} photos. They are saved: run the "
            "same command again to resume."
        ) from None
    return extraction


def _with_progress(photos: list[tuple[int, Path]]) -> Iterator[tuple[int, Path]]:
    """Yield the photos; show a progress bar in a terminal, otherwise a line every LINE_EVERY_SECONDS."""
    if sys.stderr.isatty():
        yield from tqdm(photos, unit="photo", file=sys.stderr, desc="Extracting")
        return
    last_line_at = time.monotonic()
    for done, photo in enumerate(photos):
        if time.monotonic() - last_line_at >= LINE_EVERY_SECONDS:
            last_line_at = time.monotonic()
            sys.stderr.write(f"Extracting: {done} of {len(photos)} photos\n")
        yield photo


def _listed(unreadable: list[str]) -> str:
    """Return the first unreadable photos as indented lines, to append to a sentence."""
    lines = unreadable[:LISTED]
    if len(unreadable) > LISTED:
        lines = [*lines, f"… and {len(unreadable) - LISTED} more"]
    return "".join(f"\n  {line}" for line in lines)
