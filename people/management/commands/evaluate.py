"""`manage.py evaluate`: measure an engine's accuracy on a folder of photos, and calibrate the engine."""

from __future__ import annotations

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from people.engines import build_engine, get_engine
from people.engines.base import FaceEngine
from people.errors import EvaluationInterrupted, FacerecError, ModelMissing
from people.evaluation import json_files, report
from people.evaluation.folder import evaluate_folder


class Command(BaseCommand):
    help = (
        "Measure detection, verification and open-set identification on the photos in FOLDER/person/. "
        "Results are cached for each photo. If interrupted, run the same command again to resume."
    )
    # The check for missing calibrations must not stop the command that measures them.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "folder",
            type=Path,
            metavar="FOLDER",
            help="contains one folder for each person, with photos in it",
        )
        parser.add_argument(
            "--engine",
            metavar="NAME",
            help="onnx, dlib or a dotted path (default: the engine in the settings)",
        )
        parser.add_argument(
            "--enrol",
            type=_positive,
            default=1,
            metavar="N",
            help="enrol N photos of each person (default: 1)",
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
        parser.add_argument("--plots", type=Path, metavar="DIR", help="write plots and index.html into DIR")
        parser.add_argument(
            "--calibration", type=Path, metavar="FILE", help="write the engine's calibration to FILE"
        )
        parser.add_argument(
            "--fresh",
            action="store_true",
            help="ignore the cached results of earlier runs and process every photo again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        engine = _engine(options["engine"])
        try:
            evaluated = evaluate_folder(
                options["folder"],
                engine,
                enrol=options["enrol"],
                command=_command(options),
                cache_folder=Path(settings.FACEREC_VAR_DIR) / "evaluation",
                fresh=options["fresh"],
            )
            self.stdout.write(report.as_text(evaluated))
            if options["calibration"]:
                json_files.write_calibration(options["calibration"], evaluated)
                self.stdout.write(f"Calibration: {options['calibration']}")
            if options["json"]:
                json_files.write_figures(options["json"], evaluated)
                self.stdout.write(f"Figures: {options['json']}")
            if options["plots"]:
                self.stdout.write(f"Plots: {report.write_page(options['plots'], evaluated)}")
        except EvaluationInterrupted as error:
            raise CommandError(error.message, returncode=130) from None
        except FacerecError as error:
            raise CommandError(error.message) from error


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
    """Return the command that repeats this evaluation, without the paths of this machine."""
    parts = ["manage.py evaluate", Path(options["folder"]).resolve().name]
    if options["engine"]:
        parts.append(f"--engine {options['engine']}")
    parts.append(f"--enrol {options['enrol']}")
    return " ".join(parts)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a number of photos. Use 1 or more.")
    return int(text)
