"""`manage.py import_people`: enrol many people from a folder, a ZIP archive or a bucket prefix."""

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
"""Files per progress line when the output isn't a terminal."""
SHOWN_PROBLEMS = 20


class Command(BaseCommand):
    help = (
        "Enrol the photos in a folder, ZIP archive or bucket prefix with the layout person/photo.jpg. A "
        "people.csv at its root can have the columns folder, external_id, name, metadata, consent_given_at "
        "and consent_expires_at. Photos that are already enrolled are left unchanged. If interrupted, run "
        "the same command again to resume."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "source", help="a folder, a ZIP archive, or s3://bucket/prefix in an allowed bucket"
        )
        parser.add_argument("--collection", required=True, metavar="NAME", help="the collection's name")
        parser.add_argument("--dry-run", action="store_true", help="check every file and enrol nothing")
        parser.add_argument(
            "--json", type=Path, metavar="FILE", help="write the result of every file to FILE"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["collection"]
        collection = Collection.objects.filter(name=name).first()
        if collection is None:
            raise CommandError(f"Collection {name} doesn't exist. Create it in the admin or through the API.")
        job: ImportJob | None = None
        try:
            job = jobs.begin(
                options["source"], collection=collection, dry_run=options["dry_run"], actor=COMMAND
            )
            if job.fingerprint:
                self.stdout.write("Resuming an interrupted import of this source.")
            self._run(job)
        except KeyboardInterrupt:
            raise CommandError("Interrupted. Run the same command again to resume.", returncode=130) from None
        except FacerecError as error:
            # before there is a job, the location itself is wrong
            hint = "" if job is None else " Run the same command again to resume."
            raise CommandError(f"{error.message}{hint}") from error
        except Exception as error:
            if not is_outage(error):
                raise
            raise CommandError(
                f"Something that the import needs is unavailable ({type(error).__name__}). Run the same "
                "command again to resume."
            ) from error
        job.refresh_from_db()
        if options["json"]:
            _write(job, options["json"])
        self._report(job)

    def _run(self, job: ImportJob) -> None:
        with _progress(self, job) as watch:
            jobs.run(job.pk, watch=watch)

    def _report(self, job: ImportJob) -> None:
        counts = jobs.counts(job)
        if job.state == ImportJob.State.FAILED:
            problem = job.problem or {}
            errors = [line for lines in problem.get("errors", {}).values() for line in lines]
            raise CommandError("\n  ".join([problem.get("detail", "The import failed."), *errors]))
        would = "would be " if job.dry_run else ""
        self.stdout.write(
            f"{counts.total} files: {counts.enrolled} {would}enrolled, {counts.known} already enrolled, "
            f"{counts.rejected} {would}rejected, {counts.skipped} skipped."
        )
        if counts.persons_to_create is not None:
            self.stdout.write(f"People to be created: {counts.persons_to_create}")
        not_enrolled = job.items.filter(state__in=(ImportItem.State.REJECTED, ImportItem.State.SKIPPED))
        for item in not_enrolled[:SHOWN_PROBLEMS]:
            self.stdout.write(f"  {item.path}: {(item.problem or {}).get('detail', item.state)}")
        if (more := not_enrolled.count() - SHOWN_PROBLEMS) > 0:
            self.stdout.write(f"  … and {more} more. Use --json FILE to write all results to a file.")
        if job.state == ImportJob.State.CANCELLED:
            raise CommandError("The import was cancelled.")


@contextmanager
def _progress(command: BaseCommand, job: ImportJob) -> Iterator[Any]:
    """Show a progress bar in a terminal; otherwise write a line every LINE_EVERY files."""
    if sys.stderr.isatty():
        with tqdm(unit="photo", file=sys.stderr, desc="Importing") as bar:

            def advance(item: ImportItem) -> None:
                if bar.total is None:
                    counts = jobs.counts(job)
                    bar.total, bar.initial = counts.total, counts.done - 1
                    bar.n = bar.initial
                bar.update()

            yield advance
    else:
        done = 0

        def write_line(item: ImportItem) -> None:
            nonlocal done
            done += 1
            if done % LINE_EVERY == 0:
                counts = jobs.counts(job)
                command.stdout.write(f"{counts.done} of {counts.total} files processed")

        yield write_line


def _write(job: ImportJob, path: Path) -> None:
    counts = jobs.counts(job)
    head = {
        "import": str(job.pk),
        "state": job.state,
        "dry_run": job.dry_run,
        "problem": job.problem,
        "counts": {
            "total": counts.total, "enrolled": counts.enrolled, "known": counts.known,
            "rejected": counts.rejected, "skipped": counts.skipped, "pending": counts.pending,
        },
    }  # fmt: skip
    with path.open("w") as file:
        file.write(json.dumps(head)[:-1] + ', "items": [')
        for number, item in enumerate(job.items.iterator()):
            result = {
                "path": item.path, "person": item.person_key, "state": item.state, "problem": item.problem,
                "person_id": str(item.person_id) if item.person_id else None,
                "photo_id": str(item.photo_id) if item.photo_id and not job.dry_run else None,
            }  # fmt: skip
            file.write(("," if number else "") + "\n" + json.dumps(result))
        file.write("\n]}\n")
