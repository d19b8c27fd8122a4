"""AWS as far as Copilot asks it to render: moto's proxy, with what moto lacks. A process of its own.

    python -m tests.deployment.aws_for_copilot

prints its port, and keeps nothing. What moto doesn't know is told on stderr in full.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import traceback
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import ChangeSet, StackInstance
from moto.cloudformation.responses import CloudFormationResponse, get_template_summary_response_from_template
from moto.core.responses import ActionResult
from moto.moto_proxy import proxy3
from moto.moto_proxy.certificate_creator import CertificateCreator
from moto.moto_proxy.proxy3 import ProxyRequestHandler


def complete_moto() -> None:
    """Add what Copilot asks for and moto doesn't answer."""
    of_a_stack = CloudFormationResponse.get_template_summary

    def get_template_summary(self: CloudFormationResponse) -> ActionResult:
        name = self._get_param("StackSetName")
        if not name:
            return of_a_stack(self)
        template = self.cloudformation_backend.describe_stack_set(name).template
        return ActionResult(get_template_summary_response_from_template(template))

    CloudFormationResponse.get_template_summary = get_template_summary

    # moto makes up an id, under which there is no stack
    told = StackInstance.to_dict
    StackInstance.to_dict = lambda self: told(self) | {"StackId": self.stack.stack_id}

    # moto's stack of a set has a colon in its name, and a bucket's name is made of it
    named = parsing.generate_resource_name
    parsing.generate_resource_name = lambda kind, stack, logical_id: named(
        kind, stack.replace(":", "-"), logical_id
    )

    # Copilot's templates have numbers among their outputs, and attributes and types that moto doesn't know.
    parsing.ResourceMap.validate_outputs = lambda self: None
    cleaned, parsed = parsing.clean_json, parsing.parse_output

    def clean_json(part: Any, resources: Any) -> Any:
        try:
            return cleaned(part, resources)
        except ValidationError:
            return "of-no-account"

    def parse_output(name: str, *rest: Any) -> parsing.Output | None:
        output = parsed(name, *rest)
        if output is not None:
            output.value = str(output.value or f"{name}-of-no-account")
        return output

    parsing.clean_json, parsing.parse_output = clean_json, parse_output

    # moto's stack that a change set made tells no outputs
    applied = ChangeSet.apply

    def apply(self: ChangeSet) -> None:
        applied(self)
        self.stack.template_dict = self.template_dict
        self.stack.output_map = self.stack._create_output_map()

    ChangeSet.apply = apply


class Handler(ProxyRequestHandler):
    timeout = 60  # moto loads a service when it is first asked for

    def end_headers(self) -> None:
        # moto's proxy closes the connection and doesn't say so; a client that uses it again sees it reset
        if self.command != "CONNECT":
            self.send_header("Connection", "close")
        super().end_headers()


def main() -> None:
    complete_moto()
    proxy3.error = lambda problem: traceback.print_exc()
    proxy3.info = lambda line: None
    with tempfile.TemporaryDirectory(prefix="facerec-certificates-") as folder:
        # moto writes certificates beside its code
        CertificateCreator.certdir = str(shutil.copytree(CertificateCreator.certdir, Path(folder) / "certs"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
