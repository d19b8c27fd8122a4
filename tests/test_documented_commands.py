"""Command lines in the Markdown pages: each command, option, `make` target and test file exists."""

from __future__ import annotations

import contextlib
import io
import re
import tomllib
from argparse import ArgumentParser
from functools import cache

import pytest
from botocore import xform_name
from botocore.session import get_session
from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandError
from facerec_deploy import options
from facerec_deploy.configuration import STACKS

from tests import markdown_samples
from tests.deployment import templates
from tests.markdown_samples import PAGES, ROOT, CommandLine, Sample, command_lines

PLACEHOLDERS = {"NAME": "SECRET_KEY", "$name": "SECRET_KEY"}
"""Values that the parsers accept for what readers fill in."""
SAMPLES = [sample for page in PAGES for sample in markdown_samples.samples(page)]
SHELL_SAMPLES = [sample for sample in SAMPLES if sample.language == "sh"]
SHELL_LINES = sorted(
    {
        (sample.page, line)
        for sample in SHELL_SAMPLES
        for line in command_lines(sample.text, "manage.py", "facerec-deploy")
    },
    key=str,
)
AWS_OPTIONS = {"query", "output"}
"""Options that the AWS command line accepts with every operation."""
AWS_CUSTOM = {("ecr", "get-login-password")}
"""Commands of the AWS command line that aren't operations of the service."""
AWS_LINES = sorted(
    {
        line
        for sample in SHELL_SAMPLES
        for line in command_lines(sample.text, "aws")
        if line.arguments[:2] not in AWS_CUSTOM
    },
    key=str,
)
QUOTES = [(page, quotes) for page in PAGES for quotes in markdown_samples.inline_code(page)]
COMMANDS = get_commands()
OWN_COMMANDS = {name for name, application in COMMANDS.items() if application in ("people", "benchmark")}


@cache
def _parser(command: str) -> ArgumentParser:
    application = COMMANDS[command]
    assert isinstance(application, str)
    return load_command_class(application, command).create_parser("manage.py", command)


@pytest.mark.parametrize(("page", "line"), SHELL_LINES, ids=str)
def test_a_command_line_of_a_sample_is_accepted_by_its_parser(page: str, line: CommandLine) -> None:
    assert _refusal(line) is None


def test_a_command_line_quoted_in_a_text_is_accepted_by_its_parser() -> None:
    lines = {line for _, quotes in QUOTES for line in _quoted_lines(quotes)}
    assert len(lines) > 30
    refusals = {line: _refusal(line) for line in lines}
    # a text may name a command without all of its arguments
    assert {
        line: refusal for line, refusal in refusals.items() if refusal and "required" not in refusal
    } == {}


def test_an_option_in_a_quoted_command_line_belongs_to_the_command() -> None:
    """Parsers that miss an argument don't report options that they don't have."""
    unknown = [
        (page, line, argument)
        for page, quotes in QUOTES
        for line in _quoted_lines(quotes)
        if line.program == "manage.py"
        for argument in line.arguments[1:]
        if argument.startswith("--")
        and argument.partition("=")[0] not in _options(_parser(line.arguments[0]))
    ]
    assert unknown == []


def test_an_option_quoted_next_to_a_command_belongs_to_it() -> None:
    unknown = [
        (page, quote)
        for page, quotes in QUOTES
        if (parsers := [_parser(name) for name in _quoted_commands(quotes)])
        for quote in quotes
        if quote.startswith("--") and not any(quote.split()[0] in _options(parser) for parser in parsers)
    ]
    assert unknown == []


@pytest.mark.parametrize("line", AWS_LINES, ids=str)
def test_an_aws_command_line_names_an_operation_and_its_parameters(line: CommandLine) -> None:
    service, operation, *arguments = line.arguments
    model = get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    assert shape is not None
    parameters = {xform_name(member, "-") for member in shape.members} | AWS_OPTIONS
    options = {argument.removeprefix("--") for argument in arguments if argument.startswith("--")}
    assert {option.removeprefix("no-") for option in options} <= parameters


def test_each_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    texts = [sample.text for sample in SHELL_SAMPLES] + [quote for _, quotes in QUOTES for quote in quotes]
    named = {
        name
        for text in texts
        for name in re.findall(r"(?:^|[ `])make ([a-z][a-z-]*)", text, flags=re.MULTILINE)
    }
    assert len(named) > 10
    assert named <= targets


def test_each_test_file_of_a_sample_exists() -> None:
    paths = {path for sample in SHELL_SAMPLES for path in re.findall(r"\btests/[\w/]+\.py", sample.text)}
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "sample", [sample for sample in SAMPLES if sample.language == "toml"], ids=lambda sample: sample.name
)
def test_each_parameter_of_a_sample_is_declared_by_a_template(sample: Sample) -> None:
    declared = {
        name for part in STACKS for name in templates.read(templates.FOLDER / f"{part}.yaml")["Parameters"]
    }
    assert set(tomllib.loads(sample.text)) <= declared


@pytest.mark.parametrize(
    "line",
    [
        CommandLine("manage.py", ("evaluate", "lfw-dev", "--motor", "dlib")),
        CommandLine("manage.py", ("conjure",)),
        CommandLine("facerec-deploy", ("plan", "--quietly")),
        CommandLine("facerec-deploy", ("secrets", "put", "PASSWORD")),
    ],
    ids=str,
)
def test_a_command_or_option_that_does_not_exist_is_refused(line: CommandLine) -> None:
    assert _refusal(line)


def _quoted_lines(quotes: list[str]) -> list[CommandLine]:
    """Return the command lines among quotes, which may leave out `manage.py` and bracket options."""
    lines = []
    for quote in quotes:
        text = quote.replace("[", "").replace("]", "")
        if text.split(" ", 1)[0] in OWN_COMMANDS:
            text = f"manage.py {text}"
        lines += [
            line
            for line in command_lines(text, "manage.py", "facerec-deploy")
            if line.arguments not in ((), ("…",))
        ]
    return lines


def _quoted_commands(quotes: list[str]) -> set[str]:
    return {line.arguments[0] for line in _quoted_lines(quotes) if line.program == "manage.py"}


def _refusal(line: CommandLine) -> str | None:
    """Return why the program's own parser refuses the arguments, or None."""
    arguments = [PLACEHOLDERS.get(argument, argument) for argument in line.arguments if argument != "…"]
    if line.program == "facerec-deploy":
        with contextlib.redirect_stderr(io.StringIO()) as output:
            try:
                options.parser().parse_args(arguments)
            except SystemExit:
                return output.getvalue()
        return None
    command, *rest = arguments
    if command not in COMMANDS:
        return f"There is no command {command}."
    try:
        _parser(command).parse_args([argument for argument in rest if argument not in ("-h", "--help")])
    except CommandError as error:
        return str(error)
    return None


def _options(parser: ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}
