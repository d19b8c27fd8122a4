"""Body parsers: REST framework's own, but refusing what can't be stored or is ambiguous."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import DataAndFiles, JSONParser, MultiPartParser

from people.errors import Malformed
from people.strict_json import StrictDecoder, check_text


class StrictJsonParser(JSONParser):
    """JSON that can be stored and is unambiguous: see people.strict_json."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded body. Raises Malformed."""
        try:
            text = stream.read().decode(str((parser_context or {}).get("encoding", "utf-8")))
            return json.loads(text, cls=StrictDecoder)
        except UnicodeDecodeError as error:
            raise Malformed("The body is not valid UTF-8. Encode it in UTF-8 and send it again.") from error
        except json.JSONDecodeError as error:
            place = f" (line {error.lineno}, column {error.colno})" if error.pos else ""
            raise Malformed(f"The body is not valid JSON: {error.msg}{place}. Correct it.") from error


class StrictMultiPartParser(MultiPartParser):
    """Forms whose text can be stored, as in strict JSON."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        """Return fields and files. Raises Malformed, or ParseError when it is not multipart."""
        try:
            form = super().parse(stream, media_type, parser_context)
        except Exception:
            for handler in (parser_context or {})["request"].upload_handlers:
                handler.upload_interrupted()  # removes an archive's temporary file
            raise
        try:
            for name, values in (*form.data.lists(), *form.files.lists()):
                check_text(name)
                for value in values:
                    if isinstance(value, str):
                        check_text(value)
        except ValueError as error:
            raise Malformed(f"The form can't be read: {error}. Correct it.") from error
        return form


PHOTO_PARSERS = [StrictJsonParser, StrictMultiPartParser]
"""For operations that take files. All others take only JSON, since forms have no types or nested objects."""
