"""The templates, reduced to what moto supports.

moto doesn't support Fn::Cidr and some resource types. Unsupported resources are left out, and references to
them are replaced with a name. test_cloudformation.py checks the real templates.
"""

from __future__ import annotations

import ipaddress
import json
from functools import cache
from typing import Any

import pytest

from tests.deployment.templates import FOLDER, Resolver, read

UNKNOWN = (
    "AWS::ApplicationAutoScaling::", "AWS::Backup::", "AWS::CertificateManager::", "AWS::CloudWatch::",
    "AWS::ECS::ClusterCapacityProviderAssociations", "AWS::Events::", "AWS::IAM::OIDCProvider",
    # moto can create these resources, but not delete them
    "AWS::EC2::EIP", "AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::Route",
    "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPCEndpoint", "AWS::EC2::VPCGatewayAttachment",
    "AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress", "AWS::Logs::MetricFilter",
    "AWS::RDS::DBParameterGroup", "AWS::RDS::DBSubnetGroup", "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy", "AWS::Scheduler::", "AWS::WAFv2::",
)  # fmt: skip
UNKNOWN_ATTRIBUTES = ("DBInstanceArn", "LoadBalancerFullName", "TargetGroupFullName")


@cache
def template(part: str) -> str:
    full_template = read(FOLDER / f"{part}.yaml")
    resolver = Resolver(full_template, {})  # moto ignores conditions
    left_out = {
        name
        for name, resource in full_template["Resources"].items()
        if resource["Type"].startswith(UNKNOWN)
        or ("Condition" in resource and not resolver.condition(resource["Condition"]))
    }
    resources = {
        name: {
            **resource,
            "DependsOn": [on for on in _names(resource.get("DependsOn")) if on not in left_out],
            "Properties": {
                key: value for key, value in resource["Properties"].items() if not _ref(value) & left_out
            },
        }
        for name, resource in full_template["Resources"].items()
        if name not in left_out
    }
    return json.dumps(_replaced({**full_template, "Resources": resources}, left_out))


def _ref(value: Any) -> set[str]:
    return {value["Ref"]} if isinstance(value, dict) and "Ref" in value else set()


def _names(depends: Any) -> list[str]:
    return [depends] if isinstance(depends, str) else list(depends or ())


def _replaced(part: Any, left_out: set[str]) -> Any:
    if isinstance(part, list):
        return [_replaced(item, left_out) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("Ref") in left_out:
        return part["Ref"]
    if "Fn::GetAtt" in part:
        resource, attribute = part["Fn::GetAtt"]
        if resource in left_out or attribute in UNKNOWN_ATTRIBUTES:
            return f"{resource}.{attribute}"
    if "Fn::Select" in part and "Fn::Cidr" in (part["Fn::Select"][1] or {}):
        index, cidr = part["Fn::Select"]
        _, _, bits = cidr["Fn::Cidr"]
        return str(list(ipaddress.ip_network("10.20.0.0/16").subnets(new_prefix=32 - int(bits)))[int(index)])
    return {key: _replaced(item, left_out) for key, item in part.items()}


def complete_change_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make moto set a stack's outputs and parameters when it executes a change set; by itself, it doesn't."""
    # imported only by the tests that need it, because the import takes seconds
    from moto.cloudformation.models import ChangeSet
    from moto.cloudformation.parsing import OutputMap

    apply = ChangeSet.apply

    def applied(self: ChangeSet) -> None:
        apply(self)
        self.stack.parameters = self.parameters
        self.stack.output_map = OutputMap(self.stack.resource_map, self.template_dict, self.stack_id)

    monkeypatch.setattr(ChangeSet, "apply", applied)
