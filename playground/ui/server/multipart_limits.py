"""What an upload may be: few files, and hardly anything beside them. Reads along; knows no route."""

from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

MAX_FILES = 100  # of an upload, each of which Gradio holds open until all of it has come
MAX_FIELDS = 8  # that are no file, and are kept in memory
MAX_FIELD_BYTES = 1_000
_MAX_BOUNDARY = 200


class NotAnUpload(Exception):
    """What nobody is to read any further, with the sentence for whoever sends it."""


class PartsGuard:
    """Reads the parts of an upload beside Gradio, with the parser that Gradio uses, and keeps nothing of them."""

    def __init__(self, content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 1 <= len(boundary) <= _MAX_BOUNDARY:
            raise NotAnUpload("An upload must be multipart/form-data, as curl -F files=@FILE sends it.")
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_field": self._name_header,
            "on_header_value": self._fill_header,
            "on_header_end": self._end_header,
            "on_headers_finished": self._count,
            "on_part_data": self._take,
        }
        self._parser = MultipartParser(boundary, callbacks)
        self._num_files = self._num_fields = 0
        self._begin()

    def read(self, chunk: bytes) -> None:
        """Read what came next. Raises NotAnUpload."""
        try:
            self._parser.write(chunk)
        except MultipartParseError:
            raise NotAnUpload(
                "The upload is not valid multipart/form-data. Send it with curl -F files=@FILE."
            ) from None

    def _begin(self) -> None:
        self._name = self._value = b""
        self._is_file, self._is_for_files, self._field_bytes = False, False, 0

    def _name_header(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _fill_header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            self._is_file, self._is_for_files = b"filename" in options, options.get(b"name") == b"files"
        self._name = self._value = b""

    def _count(self) -> None:
        if self._is_file != self._is_for_files:
            raise NotAnUpload("What is called files must be files, and files so called. Send curl -F files=@FILE.")
        self._num_files += self._is_file
        self._num_fields += not self._is_file
        if self._num_files > MAX_FILES:
            raise NotAnUpload(f"An upload takes at most {MAX_FILES} files. Send the others in another one.")
        if self._num_fields > MAX_FIELDS:
            raise NotAnUpload(f"An upload takes at most {MAX_FIELDS} fields that are no file. Send files only.")

    def _take(self, data: bytes, start: int, end: int) -> None:  # noqa: ARG002  # the parser calls it so
        self._field_bytes += 0 if self._is_file else end - start
        if self._field_bytes > MAX_FIELD_BYTES:
            raise NotAnUpload(f"A field that is no file takes at most {MAX_FIELD_BYTES} bytes. Send files only.")
