"""Another engine for all who are enrolled, without a pause."""

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
        "Make templates of another engine beside those that are there (--engine), and tell how both agree. "
        "Interrupted, the same command goes on. Then --switch, and --rollback if need be; --discard deletes "
        "the one that stands beside. Ids of persons and photos stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_mutually_exclusive_group(required=True)
        deeds.add_argument("--engine", metavar="NAME", help="fill: onnx, dlib or a dotted path")
        deeds.add_argument("--switch", action="store_true", help="search with the engine that stands beside")
        deeds.add_argument("--rollback", action="store_true", help="the same, back again")
        deeds.add_argument("--discard", action="store_true", help="delete the engine that stands beside")
        deeds.add_argument("--status", action="store_true", help="which engines there are")
        parser.add_argument("--rate", type=float, metavar="N", help="at most N photos a second")
        parser.add_argument(
            "--incomplete", action="store_true", help="switch although photos lack a template of the engine"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["engine"]:
                self._fill(options["engine"], options["rate"])
            elif options["status"]:
                self._status()
            elif options["discard"]:
                version = self._beside()
                count = reembedding.discard(version, actor=COMMAND)
                self.stdout.write(f"{version.engine} is gone, with {count} templates.")
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
        failed, done = 0, 0
        bar = tqdm(total=total, unit="photo", file=sys.stderr, desc=version.engine, mininterval=1)
        try:
            with bar:
                for _, made in reembedding.fill(version):
                    began = time.monotonic()
                    done += 1
                    failed += not made
                    bar.update()
                    if rate:
                        time.sleep(max(1 / rate - (time.monotonic() - began), 0))
        except KeyboardInterrupt:
            raise CommandError(
                f"Interrupted after {done} of {total} photos. The same command goes on from there.",
                returncode=130,
            ) from None
        self.stdout.write(f"{done - failed} templates made; {failed} photos show this engine no usable face.")
        self._agreement(version)

    def _agreement(self, version: EngineVersion) -> None:
        active = EngineVersion.objects.get(state=State.ACTIVE)
        found = reembedding.agreement(active.engine, version.engine)
        self.stdout.write(
            f"{found.photos} photos have a template of both, {found.only_old} of {active.engine} only, "
            f"{found.only_new} of {version.engine} only."
        )
        if found.searched:
            same, old, new = (
                f"{100 * count / found.searched:.2f} %"
                for count in (found.same_person, found.right_old, found.right_new)
            )
            self.stdout.write(
                f"Of {found.searched} photos searched among all others both put the same person first in "
                f"{same}; the right one: {active.engine} {old}, {version.engine} {new}."
            )
        self.stdout.write("Switch with --switch; searches go on with the old engine until then.")

    def _switch(self, *, incomplete: bool) -> None:
        version = self._beside()
        lacking = reembedding.missing(version).count()
        if lacking and not incomplete:
            raise CommandError(
                f"{lacking} photos have no template of {version.engine}; people who have no others would "
                "not be found. Run --engine again, or switch all the same with --incomplete."
            )
        reembedding.switch(version, actor=COMMAND)
        self.stdout.write(f"Searches use {version.engine} from now on. --rollback leads back.")

    def _status(self) -> None:
        rows = EngineVersion.objects.order_by("state")
        for row in rows:
            self.stdout.write(f"{row.engine}: {row.state}, {reembedding.missing(row).count()} photos lack it")
        if not rows:
            self.stdout.write("The settings' engine alone.")

    def _beside(self) -> EngineVersion:
        version = EngineVersion.objects.filter(state=State.BESIDE).first()
        if version is None:
            raise CommandError("No engine stands beside the active one. Fill one with --engine first.")
        return version
