"""Simulates the part of AWS that Copilot needs to render templates: moto's proxy, plus missing features.

    python -m tests.deployment.aws_for_copilot

runs the proxy as a process and prints its port. It stores nothing. If moto doesn't support a request, the
traceback is printed to stderr.
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
    """Add the features that Copilot needs and moto doesn't support."""
    summary_of_stack = CloudFormationResponse.get_template_summary

    def get_template_summary(self: CloudFormationResponse) -> ActionResult:
        name = self._get_param("StackSetName")
        if not name:
            return summary_of_stack(self)
        template = self.cloudformation_backend.describe_stack_set(name).template
        return ActionResult(get_template_summary_response_from_template(template))

    CloudFormationResponse.get_template_summary = get_template_summary

    # moto makes up an id that belongs to no stack
    original_to_dict = StackInstance.to_dict
    StackInstance.to_dict = lambda self: original_to_dict(self) | {"StackId": self.stack.stack_id}

    # the name of moto's stack in a stack set contains a colon, and bucket names are derived from it
    original_name = parsing.generate_resource_name
    parsing.generate_resource_name = lambda kind, stack, logical_id: original_name(
        kind, stack.replace(":", "-"), logical_id
    )

    # Copilot's templates have numbers as outputs, and attributes and types that moto doesn't support.
    parsing.ResourceMap.validate_outputs = lambda self: None
    original_clean, original_parse = parsing.clean_json, parsing.parse_output

    def clean_json(part: Any, resources: Any) -> Any:
        try:
            return original_clean(part, resources)
        except ValidationError:
            return "of-no-account"

    def parse_output(name: str, *rest: Any) -> parsing.Output | None:
        output = original_parse(name, *rest)
        if output is not None:
            output.value = str(output.value or f"{name}-of-no-account")
        return output

    parsing.clean_json, parsing.parse_output = clean_json, parse_output

    # moto's stack from a change set has no outputs
    original_apply = ChangeSet.apply

    def apply(self: ChangeSet) -> None:
        original_apply(self)
        self.stack.template_dict = self.template_dict
        self.stack.output_map = self.stack._create_output_map()

    ChangeSet.apply = apply


class Handler(ProxyRequestHandler):
    timeout = 60  # moto loads a service on its first request

    def end_headers(self) -> None:
        # moto's proxy closes the connection without announcing it, and a client that reuses it gets a reset
        if self.command != "CONNECT":
            self.send_header("Connection", "close")
        super().end_headers()


def main() -> None:
    complete_moto()
    proxy3.error = lambda problem: traceback.print_exc()
    proxy3.info = lambda line: None
    with tempfile.TemporaryDirectory(prefix="facerec-certificates-") as folder:
        # moto writes certificates next to its code
        CertificateCreator.certdir = str(shutil.copytree(CertificateCreator.certdir, Path(folder) / "certs"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        sys.stdout.write(f"{server.server_port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
