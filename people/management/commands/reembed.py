"""`manage.py reembed`: move all enrolled people to another engine without downtime."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from people import reembedding
from people.active_engine import State
from people.actors import COMMAND
from people.errors import FacerecError
from people.models import EngineVersion


class Command(BaseCommand):
    help = (
        "Move to another engine without downtime. First, --engine creates templates for the new engine "
        "alongside the existing ones and reports how far the two agree; if interrupted, run it again to "
        "resume. Then --switch makes the new engine active, --rollback returns to the old one, and --discard "
        "deletes the engine that is not active. Ids of people and photos don't change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_mutually_exclusive_group(required=True)
        actions.add_argument(
            "--engine", metavar="NAME", help="create templates for this engine: onnx, dlib or a dotted path"
        )
        actions.add_argument("--switch", action="store_true", help="make the other engine the active one")
        actions.add_argument("--rollback", action="store_true", help="undo --switch")
        actions.add_argument(
            "--discard", action="store_true", help="delete the engine that is not active, with its templates"
        )
        actions.add_argument("--status", action="store_true", help="list the engines")
        parser.add_argument("--rate", type=float, metavar="N", help="process at most N photos per second")
        parser.add_argument(
            "--incomplete",
            action="store_true",
            help="switch even if some photos have no template of the engine",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["engine"]:
                self._fill(options["engine"], options["rate"])
            elif options["status"]:
                self._status()
            elif options["discard"]:
                version = self._secondary()
                count = reembedding.discard(version, actor=COMMAND)
                self.stdout.write(f"Deleted {version.engine} and its {count} templates.")
            else:
                self._switch(incomplete=options["incomplete"])
        except FacerecError as error:
            raise CommandError(error.message) from error

    def _fill(self, backend: str, rate: float | None) -> None:
        try:
            version = reembedding.begin(backend, actor=COMMAND)
        except (ImportError, ImproperlyConfigured) as error:
            raise CommandError(f"Engine {backend} can't be built: {error}") from error
        total = reembedding.missing(version).count()
        failed = done = 0
        bar = tqdm(total=total, unit="photo", file=sys.stderr, desc=version.engine, mininterval=1)
        try:
            with bar:
                for _, created in reembedding.fill(version):
                    started = time.monotonic()
                    done += 1
                    failed += not created
                    bar.update()
                    if rate:
                        time.sleep(max(1 / rate - (time.monotonic() - started), 0))
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted after {done} of {total} photos. Run the same command again to resume.",
                returncode=130,
            ) from None
        self.stdout.write(
            f"Created {done - failed} templates. In {failed} photos this engine found no usable face."
        )
        self._report_agreement(version)

    def _report_agreement(self, version: EngineVersion) -> None:
        active = EngineVersion.objects.get(state=State.ACTIVE)
        agreement = reembedding.agreement(active.engine, version.engine)
        self.stdout.write(
            f"Photos with templates of both engines: {agreement.photos}; of {active.engine} only: "
            f"{agreement.only_old}; of {version.engine} only: {agreement.only_new}."
        )
        if agreement.searched:
            same, right_old, right_new = (
                f"{100 * count / agreement.searched:.2f}%"
                for count in (agreement.same_person, agreement.right_old, agreement.right_new)
            )
            self.stdout.write(
                f"Searched for {agreement.searched} photos among all the others. Both engines ranked the "
                f"same person first: {same}. Ranked the right person first: {active.engine} {right_old}, "
                f"{version.engine} {right_new}."
            )
        self.stdout.write("Searches use the old engine until you run --switch.")

    def _switch(self, *, incomplete: bool) -> None:
        version = self._secondary()
        missing = reembedding.missing(version).count()
        if missing and not incomplete:
            raise CommandError(
                f"Photos without a template of {version.engine}: {missing}. People who have only such photos "
                "would not match. Run --engine again, or switch anyway with --incomplete."
            )
        reembedding.switch(version, actor=COMMAND)
        self.stdout.write(f"Searches now use {version.engine}. To go back, run --rollback.")

    def _status(self) -> None:
        rows = EngineVersion.objects.order_by("state")
        for row in rows:
            self.stdout.write(
                f"{row.engine}: {State(row.state).name.lower()}, "
                f"{reembedding.missing(row).count()} photos without a template"
            )
        if not rows:
            self.stdout.write("Only the engine from the settings is in use.")

    def _secondary(self) -> EngineVersion:
        version = EngineVersion.objects.filter(state=State.SECONDARY).first()
        if version is None:
            raise CommandError("There is no secondary engine. Add one with --engine first.")
        return version
