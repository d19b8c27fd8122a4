"""Resolves the conditions and parameters of CloudFormation templates, to get the resources of a stack.

Values that only AWS knows, such as attributes of resources, remain functions.
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
NO_VALUE = object()
"""The value of AWS::NoValue, which removes its property."""


def read(path: Path) -> dict[str, Any]:
    """Return a template with short functions such as `!Ref` in their long form."""
    template: dict[str, Any]
    template, problems = cfnlint.decode.decode(str(path))
    assert not problems, problems
    return template


def resources(template: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return the resources of a stack that is created from the template with these parameters."""
    return Resolver(template, parameters).resources()


class Resolver:
    """Evaluates a template's conditions and functions, with these parameters or the parameters' defaults."""

    def __init__(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        declared = template.get("Parameters", {})
        assert set(parameters) <= set(declared), set(parameters) - set(declared)
        defaults = {name: entry["Default"] for name, entry in declared.items() if "Default" in entry}
        self.values = {**PSEUDO, **defaults, **parameters}
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
            return [item for item in map(self.value, part) if item is not NO_VALUE]
        if not isinstance(part, dict):
            return part
        if len(part) == 1:
            ((name, argument),) = part.items()
            if name == "Ref":
                return NO_VALUE if argument == "AWS::NoValue" else self.values.get(argument, part)
            if name == "Condition" and argument in self.template.get("Conditions", {}):
                return self.condition(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        values = {key: self.value(item) for key, item in part.items()}
        return {key: item for key, item in values.items() if item is not NO_VALUE}

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
                for key, replacement in self.values.items():
                    argument = argument.replace("${" + key + "}", str(replacement))
                return argument
        return {name: self.value(argument)}
