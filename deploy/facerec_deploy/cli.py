"""Run a subcommand: what each of them does."""

from __future__ import annotations

import argparse
import getpass
import sys

from botocore.exceptions import BotoCoreError, ClientError

from . import images, running
from .account import Account, Refused, explain
from .configuration import STACKS, read_parameters, stack_name
from .options import parser
from .secret_store import GENERATED, NAMES, PREFIX, SecretStore
from .stacks import StackFailed, Stacks, missing_parameters


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    account = Account(options.profile, options.region, _say)
    try:
        return Command(account, options).run()
    except (Refused, StackFailed) as error:
        _report(str(error))
    except (BotoCoreError, ClientError) as error:
        _report(explain(error))
    except KeyboardInterrupt:
        _report(
            "Interrupted. AWS continues with what was started. Run the same command again to wait for it and"
            " continue."
        )
        return 130
    return 1


class Command:
    """One run of the command: a method per subcommand."""

    def __init__(self, account: Account, options: argparse.Namespace) -> None:
        self.account = account
        self.options = options

    def run(self) -> int:
        subcommand = self.options.subcommand
        if subcommand == "apply" and self.options.dry_run:
            subcommand = "plan"
        code = getattr(self, subcommand)()
        return 0 if code is None else int(code)

    @property
    def parameters(self) -> dict[str, str]:
        return read_parameters(self.options.parameters)

    @property
    def stacks(self) -> Stacks:
        return Stacks(self.account, self.options.cloudformation_role)

    def plan(self) -> None:
        stacks, parameters = self.stacks, self.parameters
        stacks.check(parameters)
        for part in self._parts(parameters):
            if part == "service":
                try:
                    parameters = {**parameters, "Image": images.by_digest(self.account, self.options.image)}
                except Refused as error:
                    _say(f"{stack_name(part)}: {error}")
                    continue
            values, missing = stacks.values(part, parameters)
            if missing:
                _say(
                    f"{stack_name(part)}: can't be planned until earlier stacks provide {', '.join(missing)}."
                )
                continue
            changes = stacks.plan(part, values)
            _say(f"{stack_name(part)}: {len(changes) or 'no'} changes")
            for change in changes:
                _say(f"  {change}")
        store = SecretStore(self.account, parameters.get("KmsKeyArn", ""))
        for name in store.missing(parameters):
            _say(
                f"{PREFIX}{name} is missing: "
                + ("apply generates it." if name in GENERATED else f"run `secrets put {name}`.")
            )

    def apply(self) -> None:
        stacks, parameters = self.stacks, self.parameters
        stacks.check(parameters)
        SecretStore(self.account, parameters.get("KmsKeyArn", "")).complete(parameters)
        for part in self._parts(parameters):
            if part == "service":
                parameters = {**parameters, "Image": images.by_digest(self.account, self.options.image)}
            self._apply(stacks, part, parameters)
        _say(f"Deployed: {stacks.outputs()['ServiceUrl']}")

    def _apply(self, stacks: Stacks, part: str, parameters: dict[str, str]) -> None:
        values, missing = stacks.values(part, parameters)
        if missing:
            raise missing_parameters(part, missing)
        _say(f"{stack_name(part)}:")
        _say("  done" if stacks.apply(part, values) else "  nothing to change")

    def status(self) -> None:
        stacks = self.stacks
        for part in STACKS:
            stack = stacks.find(part)
            _say(f"{stack_name(part):22} {stack['StackStatus'] if stack else 'not deployed'}")
        for service in running.services(self.account):
            image = running.image_of(self.account, service["taskDefinition"]).partition("@")[2]
            count = f"{service['runningCount']} of {service['desiredCount']}"
            _say(f"{service['serviceName']:22} {count} tasks run {image}")
            for deployment in service["deployments"]:
                state = deployment.get("rolloutState", "")
                if state not in ("", "COMPLETED"):
                    _say(f"  deployment {state}: {deployment.get('rolloutStateReason', '')}")
        outputs = stacks.outputs()
        if group := outputs.get("TargetGroupArn"):
            health = self.account.client("elbv2").describe_target_health(TargetGroupArn=group)
            for target in health["TargetHealthDescriptions"]:
                _say(f"  target {target['Target']['Id']}: {target['TargetHealth']['State']}")
        if url := outputs.get("ServiceUrl"):
            _say(url)

    def rollback(self) -> None:
        named = self.options.to
        image = images.by_digest(self.account, named) if named else running.previous_image(self.account)
        stacks = self.stacks
        stack = stacks.find("service")
        if stack is None:
            raise Refused("The service is not deployed yet. Run apply first.")
        # keep the deployed parameters, whatever parameters.toml says now
        parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in stack["Parameters"]}
        _say(f"Rolling back to {image}")
        self._apply(stacks, "service", {**parameters, "Image": image})

    def logs(self) -> None:
        for line in running.log_lines(
            self.account, self.options.since, self.options.container, follow=self.options.follow
        ):
            _say(line)

    def exec(self) -> int:
        outputs = self.stacks.outputs()
        if "WorkerTaskArn" not in outputs:
            raise Refused("The service is not deployed yet. Run apply first.")
        network = {
            "subnets": outputs["PrivateSubnets"].split(","),
            "securityGroups": [outputs["EcsSecurityGroupId"]],
            "assignPublicIp": "DISABLED",
        }
        return running.run_command(self.account, self.options.command, network, outputs["WorkerTaskArn"])

    def secrets(self) -> None:
        store = SecretStore(self.account, self.parameters.get("KmsKeyArn", ""))
        subcommand, name = self.options.secret_action, getattr(self.options, "name", "")
        if subcommand == "list":
            present = store.present()
            for secret in NAMES:
                description = present.get(secret)
                state = (
                    f"changed {description['LastModifiedDate']:%Y-%m-%d %H:%M}" if description else "missing"
                )
                _say(f"{PREFIX + secret:32} {state}")
        elif subcommand == "put":
            if self.options.generate:
                store.make_up(name)
            else:
                store.put(name, getpass.getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read())
            _say(f"Stored {PREFIX}{name}.")
            if name != "ADMIN_PASSWORD":  # the service reads it on the first start only
                running.restart(self.account)
        else:
            value = store.generate(name)
            if name == "DATABASE_PASSWORD":
                self._change_database_password(value)
            running.restart(self.account)
            _say(
                f"Rotated {PREFIX}{name}."
                + (" All users have to log in again." if name == "SECRET_KEY" else "")
            )

    def _change_database_password(self, value: str) -> None:
        database = self.stacks.outputs().get("DatabaseId")
        if database is None:
            return  # apply creates it with the new password
        client = self.account.client("rds")
        client.modify_db_instance(
            DBInstanceIdentifier=database, MasterUserPassword=value, ApplyImmediately=True
        )
        _say("Changing the database's password. Open connections stay open.")
        client.get_waiter("db_instance_available").wait(DBInstanceIdentifier=database)

    def image(self) -> None:
        if self.options.image_action == "build":
            images.build(self.account, self.parameters.get("Architecture", "X86_64"))
        else:
            images.push(self.account)

    def destroy(self) -> None:
        if (
            self.options.yes != "facerec-api"
            and input("Type the service's name, facerec-api, to delete it: ").strip() != "facerec-api"
        ):
            raise Refused("The name doesn't match, so nothing was deleted.")
        stacks = self.stacks
        if self.options.data and (database := stacks.outputs().get("DatabaseId")):
            self.account.client("rds").modify_db_instance(
                DBInstanceIdentifier=database, DeletionProtection=False, ApplyImmediately=True
            )
        for part in reversed(STACKS):
            if part in ("data", "network") and not self.options.data:
                _say(f"{stack_name(part)} is kept. `destroy --data` deletes it.")
                continue
            if stacks.find(part) is not None:
                _say(f"{stack_name(part)}:")
                stacks.settle(part)
                stacks.delete(part)
                _say("  deleted")
        if self.options.data:
            _say(
                "The last database snapshot, the photo bucket, the images, the log and the secrets"
                " still exist. Another apply adopts the bucket, the images and the log."
            )

    @staticmethod
    def _parts(parameters: dict[str, str]) -> list[str]:
        return [part for part in STACKS if part != "ci" or "GitHubRepository" in parameters]


def _say(line: str) -> None:
    print(line, flush=True)


def _report(problem: str) -> None:
    print(f"facerec-deploy: {problem}", file=sys.stderr, flush=True)
