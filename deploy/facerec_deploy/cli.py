"""The command's words, and what each does."""

from __future__ import annotations

import argparse
import getpass
import re
import sys
from datetime import timedelta
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from . import images, running
from .account import Account, Refused, explained
from .configuration import PARAMETERS_FILE, STACKS, read_parameters, stack_name
from .secret_store import GENERATED, NAMES, PREFIX, SecretStore
from .stacks import StackFailed, Stacks, needed

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="facerec-deploy", description="Deploy facerec-api to AWS; see deploy/README.md."
    )
    whole.set_defaults(profile=None, region=None, parameters=PARAMETERS_FILE, cloudformation_role=None)
    # before the word or behind it
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    for one in (whole, common):
        given = one.add_argument_group("where")
        given.add_argument("--profile", default=argparse.SUPPRESS, help="a profile of ~/.aws/config")
        given.add_argument(
            "--region", default=argparse.SUPPRESS, help="default: AWS_REGION, or the profile's"
        )
        given.add_argument("--parameters", type=Path, default=argparse.SUPPRESS, metavar="FILE")
        given.add_argument(
            "--cloudformation-role",
            metavar="ARN",
            default=argparse.SUPPRESS,
            help="the role that makes the resources",
        )
    words = whole.add_subparsers(dest="word", required=True, metavar="WORD")

    for name, text in (
        ("plan", "show what apply would change"),
        ("apply", "make it so; again, and nothing changes"),
    ):
        word = words.add_parser(name, parents=[common], help=text)
        word.add_argument("--image", default="latest", metavar="TAG|DIGEST", help="default: latest")
        if name == "apply":
            word.add_argument("--dry-run", action="store_true", help="the same as plan")
    words.add_parser("status", parents=[common], help="stacks, tasks, images, health")
    word = words.add_parser("rollback", parents=[common], help="deploy the image that ran before")
    word.add_argument("--to", metavar="TAG|DIGEST", help="this one instead")
    word = words.add_parser("logs", parents=[common], help="what the containers say")
    word.add_argument(
        "--since", type=_period, default=timedelta(minutes=10), metavar="10m", help="such as 30s, 10m, 2h, 1d"
    )
    word.add_argument("--container", choices=("api", "worker", "prepare"), default="")
    word.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    word = words.add_parser(
        "exec", parents=[common], help="run a command in a task of its own: exec -- python manage.py …"
    )
    word.add_argument("command", nargs="+")

    word = words.add_parser("secrets", parents=[common], help=f"what stands under {PREFIX}")
    secret_words = word.add_subparsers(dest="secret_word", required=True, metavar="WORD")
    secret_words.add_parser("list", parents=[common], help="names and dates, never values")
    one = secret_words.add_parser(
        "put", parents=[common], help="ask for a value (or read it from standard input) and keep it"
    )
    one.add_argument("name", choices=NAMES, metavar="NAME")
    one.add_argument("--generate", action="store_true", help="make a random value up instead")
    one = secret_words.add_parser(
        "rotate", parents=[common], help="a new random value, and new tasks that know it"
    )
    one.add_argument("name", choices=tuple(GENERATED), metavar="NAME")

    word = words.add_parser("image", parents=[common], help="build the image, push it")
    word.add_argument("image_word", choices=("build", "push"))
    word = words.add_parser(
        "destroy", parents=[common], help="take the service away; data stays unless --data"
    )
    word.add_argument(
        "--data",
        action="store_true",
        help="network, database and queue, too; a last snapshot, photos and images stay",
    )
    word.add_argument(
        "--yes", metavar="facerec-api", default="", help="the service's name, instead of being asked for it"
    )
    return whole


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    account = Account(options.profile, options.region, _say)
    try:
        return Command(account, options).run()
    except (Refused, StackFailed) as error:
        _tell(str(error))
    except (BotoCoreError, ClientError) as error:
        _tell(explained(error))
    except KeyboardInterrupt:
        _tell(
            "Interrupted. What AWS has begun goes on; the same command waits for it and goes on from there."
        )
        return 130
    return 1


class Command:
    """One run of the command."""

    def __init__(self, account: Account, options: argparse.Namespace) -> None:
        self.account = account
        self.options = options

    def run(self) -> int:
        word = self.options.word
        if word == "apply" and self.options.dry_run:
            word = "plan"
        code = getattr(self, word)()
        return 0 if code is None else int(code)

    @property
    def chosen(self) -> dict[str, str]:
        return read_parameters(self.options.parameters)

    @property
    def stacks(self) -> Stacks:
        return Stacks(self.account, self.options.cloudformation_role)

    def plan(self) -> None:
        stacks, chosen = self.stacks, self.chosen
        stacks.check(chosen)
        for part in self._parts(chosen):
            if part == "service":
                try:
                    chosen = {**chosen, "Image": images.by_digest(self.account, self.options.image)}
                except Refused as error:
                    _say(f"{stack_name(part)}: {error}")
                    continue
            values, missing = stacks.values(part, chosen)
            if missing:
                _say(
                    f"{stack_name(part)}: planned when the stacks before it are there ({', '.join(missing)})."
                )
                continue
            changes = stacks.plan(part, values)
            _say(f"{stack_name(part)}: {len(changes) or 'no'} changes")
            for change in changes:
                _say(f"  {change}")
        store = SecretStore(self.account, chosen.get("KmsKeyArn", ""))
        for name in store.missing(chosen):
            _say(f"{PREFIX}{name} is missing; apply {'makes it up' if name in GENERATED else 'asks for it'}.")

    def apply(self) -> None:
        stacks, chosen = self.stacks, self.chosen
        stacks.check(chosen)
        SecretStore(self.account, chosen.get("KmsKeyArn", "")).complete(chosen)
        for part in self._parts(chosen):
            if part == "service":
                chosen = {**chosen, "Image": images.by_digest(self.account, self.options.image)}
            self._apply(stacks, part, chosen)
        _say(f"{stacks.outputs()['ServiceUrl']} is deployed.")

    def _apply(self, stacks: Stacks, part: str, chosen: dict[str, str]) -> None:
        values, missing = stacks.values(part, chosen)
        if missing:
            raise needed(part, missing)
        _say(f"{stack_name(part)}:")
        _say("  done" if stacks.apply(part, values) else "  nothing to change")

    def status(self) -> None:
        stacks = self.stacks
        for part in STACKS:
            found = stacks.find(part)
            _say(f"{stack_name(part):22} {found['StackStatus'] if found else 'not there'}")
        for one in running.services(self.account):
            image = running.image_of(self.account, one["taskDefinition"]).partition("@")[2]
            _say(f"{one['serviceName']:22} {one['runningCount']} of {one['desiredCount']} tasks run {image}")
            for deployment in one["deployments"]:
                state = deployment.get("rolloutState", "")
                if state not in ("", "COMPLETED"):
                    _say(f"  deployment {state}: {deployment.get('rolloutStateReason', '')}")
        outputs = stacks.outputs()
        if group := outputs.get("TargetGroupArn"):
            health = self.account.client("elbv2").describe_target_health(TargetGroupArn=group)
            for one in health["TargetHealthDescriptions"]:
                _say(f"  target {one['Target']['Id']}: {one['TargetHealth']['State']}")
        if url := outputs.get("ServiceUrl"):
            _say(url)

    def rollback(self) -> None:
        wanted = self.options.to
        image = images.by_digest(self.account, wanted) if wanted else running.previous_image(self.account)
        stacks = self.stacks
        found = stacks.find("service")
        if found is None:
            raise Refused("Nothing is deployed yet.")
        # as it was deployed, whatever parameters.toml says by now
        present = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
        _say(f"Going back to {image}")
        self._apply(stacks, "service", {**present, "Image": image})

    def logs(self) -> None:
        for line in running.log_lines(
            self.account, self.options.since, self.options.container, follow=self.options.follow
        ):
            _say(line)

    def exec(self) -> int:
        outputs = self.stacks.outputs()
        if "WorkerTaskArn" not in outputs:
            raise Refused("Nothing is deployed yet: run apply first.")
        network = {
            "subnets": outputs["PrivateSubnets"].split(","),
            "securityGroups": [outputs["EcsSecurityGroupId"]],
            "assignPublicIp": "DISABLED",
        }
        return running.run_command(self.account, self.options.command, network, outputs["WorkerTaskArn"])

    def secrets(self) -> None:
        store = SecretStore(self.account, self.chosen.get("KmsKeyArn", ""))
        word, name = self.options.secret_word, getattr(self.options, "name", "")
        if word == "list":
            present = store.present()
            for one in NAMES:
                found = present.get(one)
                state = f"changed {found['LastModifiedDate']:%Y-%m-%d %H:%M}" if found else "missing"
                _say(f"{PREFIX + one:32} {state}")
        elif word == "put":
            if self.options.generate:
                store.make_up(name)
            else:
                store.put(name, getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read())
            _say(f"{PREFIX}{name} is kept.")
            if name != "ADMIN_PASSWORD":
                running.restart(self.account)
        elif name == "ADMIN_PASSWORD":
            raise Refused("ADMIN_PASSWORD is read on the first start only. Change the password in the admin.")
        else:
            value = store.generate(name)
            if name == "DATABASE_PASSWORD":
                self._change_database_password(value)
            running.restart(self.account)
            _say(
                f"{PREFIX}{name} is new." + (" Everybody must log in again." if name == "SECRET_KEY" else "")
            )

    def _change_database_password(self, value: str) -> None:
        database = self.stacks.outputs().get("DatabaseId")
        if database is None:
            return  # it is made with the new one
        client = self.account.client("rds")
        client.modify_db_instance(
            DBInstanceIdentifier=database, MasterUserPassword=value, ApplyImmediately=True
        )
        _say("The database takes the new password; connections that are open stay open.")
        client.get_waiter("db_instance_available").wait(DBInstanceIdentifier=database)

    def image(self) -> None:
        if self.options.image_word == "build":
            images.build(self.account, self.chosen.get("Architecture", "X86_64"))
        else:
            images.push(self.account)

    def destroy(self) -> None:
        if (
            self.options.yes != "facerec-api"
            and input("Its name, to take it away: ").strip() != "facerec-api"
        ):
            raise Refused("Nothing was taken away.")
        stacks = self.stacks
        if self.options.data and (database := stacks.outputs().get("DatabaseId")):
            self.account.client("rds").modify_db_instance(
                DBInstanceIdentifier=database, DeletionProtection=False, ApplyImmediately=True
            )
        for part in reversed(STACKS):
            if part in ("data", "network") and not self.options.data:
                _say(f"{stack_name(part)} stays: people's data. `destroy --data` takes it away.")
                continue
            if stacks.find(part) is not None:
                _say(f"{stack_name(part)}:")
                stacks.settle(part)
                stacks.delete(part)
                _say("  gone")
        if self.options.data:
            _say(
                "A last snapshot of the database, the photos' bucket, the images, the log and the secrets"
                " are still there. Another apply takes bucket, images and log back."
            )

    @staticmethod
    def _parts(chosen: dict[str, str]) -> list[str]:
        return [part for part in STACKS if part != "ci" or "GitHubRepository" in chosen]


def _period(text: str) -> timedelta:
    if not (found := re.fullmatch(r"(\d+)([smhd])", text)):
        raise argparse.ArgumentTypeError("such as 30s, 10m, 2h or 1d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _say(line: str) -> None:
    print(line, flush=True)


def _tell(problem: str) -> None:
    print(f"facerec-deploy: {problem}", file=sys.stderr, flush=True)
