"""Enrol many people at once from a folder or a ZIP archive of `person/photo.jpg`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from people.actors import COMMAND
from people.errors import FacerecError
from people.imports import jobs
from people.models import Collection, ImportItem, ImportJob
from people.outages import is_outage

LINE_EVERY = 100
"""Files between two lines of progress when nobody watches."""
SHOWN_PROBLEMS = 20


class Command(BaseCommand):
    help = (
        "Enrol the photos of a folder or ZIP archive, laid out as person/photo.jpg; a people.csv at its root "
        "may hold folder, external_id, name, metadata, consent_given_at and consent_expires_at. Files that "
        "were enrolled before are left alone. Interrupted, the same command goes on where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source", help="a folder, a ZIP archive, or s3://bucket/prefix of an allowed bucket"
        )
        parser.add_argument("--collection", required=True, help="the collection's name")
        parser.add_argument("--dry-run", action="store_true", help="judge every file and enrol nothing")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write every file's result here")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["collection"]
        collection = Collection.objects.filter(name=name).first()
        if collection is None:
            raise CommandError(f"There is no collection {name}. Create it in the admin or through the API.")
        job: ImportJob | None = None
        try:
            job = jobs.begin(
                options["source"], collection=collection, dry_run=options["dry_run"], actor=COMMAND
            )
            if job.fingerprint:
                self.stdout.write("An import of this source was interrupted; going on with it.")
            self._run(job)
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. The same command goes on where it stopped.", returncode=130
            ) from None
        except FacerecError as error:
            raise CommandError(f"{error.message} The same command goes on where it stopped.") from error
        except Exception as error:
            if not is_outage(error):
                raise
            raise CommandError(
                f"Something the import needs is away ({type(error).__name__}). The same command goes on "
                "where it stopped."
            ) from error
        job.refresh_from_db()
        if options["json"]:
            _write(job, options["json"])
        self._tell(job)

    def _run(self, job: ImportJob) -> None:
        with _progress(self, job) as watch:
            jobs.run(job.pk, watch=watch)

    def _tell(self, job: ImportJob) -> None:
        found = jobs.counts(job)
        if job.state == ImportJob.State.FAILED:
            problem = job.problem or {}
            told = [line for lines in problem.get("errors", {}).values() for line in lines]
            raise CommandError("\n  ".join([problem.get("detail", "The import failed."), *told]))
        would = "would be " if job.dry_run else ""
        self.stdout.write(
            f"{found.total} files: {found.enrolled} {would}enrolled, {found.known} known already, "
            f"{found.rejected} rejected, {found.skipped} skipped."
        )
        if found.persons_to_create is not None:
            self.stdout.write(f"{found.persons_to_create} people would be created.")
        refused = job.items.filter(state__in=(ImportItem.State.REJECTED, ImportItem.State.SKIPPED))
        for item in refused[:SHOWN_PROBLEMS]:
            self.stdout.write(f"  {item.path}: {(item.problem or {}).get('detail', item.state)}")
        if (more := refused.count() - SHOWN_PROBLEMS) > 0:
            self.stdout.write(f"  … and {more} more; --json FILE writes all.")
        if job.state == ImportJob.State.CANCELLED:
            raise CommandError("The import was cancelled.")


@contextmanager
def _progress(command: BaseCommand, job: ImportJob) -> Iterator[Any]:
    """Show a bar to whoever watches, and a line now and then to a log."""
    if sys.stderr.isatty():
        with tqdm(unit="photo", file=sys.stderr, desc="Importing") as bar:

            def move(item: ImportItem) -> None:
                if bar.total is None:
                    found = jobs.counts(job)
                    bar.total, bar.initial = found.total, found.done - 1
                    bar.n = bar.initial
                bar.update()

            yield move
    else:
        done = 0

        def tell(item: ImportItem) -> None:
            nonlocal done
            done += 1
            if done % LINE_EVERY == 0:
                found = jobs.counts(job)
                command.stdout.write(f"{found.done} of {found.total} files done")

        yield tell


def _write(job: ImportJob, path: Path) -> None:
    found = jobs.counts(job)
    head = {
        "import": str(job.pk),
        "state": job.state,
        "dry_run": job.dry_run,
        "problem": job.problem,
        "counts": {
            "total": found.total, "enrolled": found.enrolled, "known": found.known,
            "rejected": found.rejected, "skipped": found.skipped, "pending": found.pending,
        },
    }  # fmt: skip
    with path.open("w") as file:
        file.write(json.dumps(head)[:-1] + ', "items": [')
        for number, item in enumerate(job.items.iterator()):
            one = {
                "path": item.path, "person": item.person_key, "state": item.state, "problem": item.problem,
                "person_id": str(item.person_id) if item.person_id else None,
                "photo_id": str(item.photo_id) if item.photo_id and not job.dry_run else None,
            }  # fmt: skip
            file.write(("," if number else "") + "\n" + json.dumps(one))
        file.write("\n]}\n")
