"""CloudFormation templates with their conditions and parameters put in: what a stack would be made of.

Values that only AWS knows (attributes, other resources) stay as the functions that name them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cfnlint.decode

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "cloudformation"
PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Region": "eu-central-1",
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
}
NOTHING = object()
"""What AWS::NoValue takes out."""


def read(path: Path) -> dict[str, Any]:
    """Return a template, its short functions (`!Ref`) written long."""
    template: dict[str, Any]
    template, problems = cfnlint.decode.decode(str(path))
    assert not problems, problems
    return template


def resources(template: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return the resources that a stack of the template would have with these parameters."""
    return Resolver(template, parameters).resources()


class Resolver:
    """Evaluates conditions and functions of a template with the parameters given, or their defaults."""

    def __init__(self, template: dict[str, Any], given: dict[str, Any]) -> None:
        declared = template.get("Parameters", {})
        assert set(given) <= set(declared), set(given) - set(declared)
        defaults = {name: one["Default"] for name, one in declared.items() if "Default" in one}
        self.values = {**PSEUDO, **defaults, **given}
        self.template = template

    def resources(self) -> dict[str, Any]:
        return {
            name: self.value({key: part for key, part in resource.items() if key != "Condition"})
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def condition(self, name: str) -> bool:
        return bool(self.value(self.template["Conditions"][name]))

    def value(self, part: Any) -> Any:
        if isinstance(part, list):
            return [one for one in map(self.value, part) if one is not NOTHING]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((name, argument),) = part.items()
            if name == "Ref":
                return NOTHING if argument == "AWS::NoValue" else self.values.get(argument, part)
            if name == "Condition" and argument in self.template.get("Conditions", {}):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        pairs = {key: self.value(one) for key, one in part.items()}
        return {key: one for key, one in pairs.items() if one is not NOTHING}

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Fn::If":
                condition, yes, no = argument
                return self.value(yes if self.condition(condition) else no)
            case "Fn::Equals":
                left, right = map(self.value, argument)
                return str(left) == str(right)
            case "Fn::Not":
                return not self.value(argument[0])
            case "Fn::And":
                return all(map(self.value, argument))
            case "Fn::Or":
                return any(map(self.value, argument))
            case "Fn::Sub" if isinstance(argument, str):
                for key, one in self.values.items():
                    argument = argument.replace("${" + key + "}", str(one))
                return argument
        return {name: self.value(argument)}
