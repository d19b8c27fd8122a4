"""The command line: the subcommands and their options."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta
from pathlib import Path

from .configuration import PARAMETERS_FILE
from .secret_store import NAMES, PREFIX, ROTATED

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parser() -> argparse.ArgumentParser:
    main_parser = argparse.ArgumentParser(
        prog="facerec-deploy", description="Deploy facerec-api to AWS. docs/aws.md describes every step."
    )
    main_parser.set_defaults(profile=None, region=None, parameters=PARAMETERS_FILE, cloudformation_role=None)
    # accepted before and after the subcommand
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for place in (main_parser, common):
        group = place.add_argument_group("account")
        group.add_argument("--profile", default=argparse.SUPPRESS, help="profile in ~/.aws/config")
        group.add_argument(
            "--region", default=argparse.SUPPRESS, help="default: AWS_REGION, or the profile's region"
        )
        group.add_argument(
            "--parameters",
            type=Path,
            default=argparse.SUPPRESS,
            metavar="FILE",
            help="default: deploy/parameters.toml",
        )
        group.add_argument(
            "--cloudformation-role",
            metavar="ARN",
            default=argparse.SUPPRESS,
            help="role that CloudFormation assumes to create the resources",
        )
    subcommands = main_parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")

    for name, text in (
        ("plan", "show what apply would change; change nothing"),
        ("apply", "create or update the stacks (safe to repeat)"),
    ):
        subcommand = subcommands.add_parser(name, parents=[common], help=text)
        subcommand.add_argument(
            "--image", default="latest", metavar="TAG|DIGEST", help="image to deploy (default: latest)"
        )
        if name == "apply":
            subcommand.add_argument("--dry-run", action="store_true", help="same as plan")
    subcommands.add_parser(
        "status", parents=[common], help="show the state of stacks, tasks, images and health checks"
    )
    subcommand = subcommands.add_parser("rollback", parents=[common], help="deploy the previous image again")
    subcommand.add_argument("--to", metavar="TAG|DIGEST", help="deploy this image instead")
    subcommand = subcommands.add_parser("logs", parents=[common], help="show the log of the containers")
    subcommand.add_argument(
        "--since",
        type=_period,
        default=timedelta(minutes=10),
        metavar="10m",
        help="for example 30s, 10m, 2h or 1d",
    )
    subcommand.add_argument(
        "--container", choices=("api", "worker", "prepare"), default="", help="default: all"
    )
    subcommand.add_argument("--follow", action="store_true", help="keep showing new lines until Ctrl-C")
    subcommand = subcommands.add_parser(
        "exec", parents=[common], help="run a one-off command in a separate task: exec -- python manage.py …"
    )
    subcommand.add_argument("command", nargs="+", help="the command and its arguments")

    subcommand = subcommands.add_parser(
        "secrets", parents=[common], help=f"manage the secrets under {PREFIX}"
    )
    secret_commands = subcommand.add_subparsers(dest="secret_action", required=True, metavar="COMMAND")
    secret_commands.add_parser("list", parents=[common], help="list names and dates, never values")
    secret_command = secret_commands.add_parser(
        "put", parents=[common], help="store a value; asks for it, or reads standard input"
    )
    secret_command.add_argument("name", choices=NAMES, metavar="NAME", help=", ".join(NAMES))
    secret_command.add_argument("--generate", action="store_true", help="store a random value instead")
    secret_command = secret_commands.add_parser(
        "rotate", parents=[common], help="store a new random value and restart the tasks"
    )
    secret_command.add_argument("name", choices=ROTATED, metavar="NAME", help=", ".join(ROTATED))

    subcommand = subcommands.add_parser("image", parents=[common], help="build or push the image")
    subcommand.add_argument("image_action", choices=("build", "push"), help="build or push it")
    subcommand = subcommands.add_parser(
        "destroy", parents=[common], help="delete the service; data is kept unless --data"
    )
    subcommand.add_argument(
        "--data",
        action="store_true",
        help="also delete network, database and queue; a last snapshot, photos and images are kept",
    )
    subcommand.add_argument(
        "--yes",
        metavar="facerec-api",
        default="",
        help="confirm with the service's name instead of being asked",
    )
    return main_parser


def _period(text: str) -> timedelta:
    if not (match := re.fullmatch(r"(\d+)([smhd])", text)):
        raise argparse.ArgumentTypeError("use for example 30s, 10m, 2h or 1d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})
