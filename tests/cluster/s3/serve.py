"""``python serve.py FOLDER HOST PORT``: localbucket with more of what S3 does.

PUT knows If-Match, many objects can be deleted by one request, an upload that breaks off is refused, where localbucket
would keep its beginning. Many clients may knock at once, and an answer leaves as one piece, where two would wait for
each other (Nagle).
"""

from __future__ import annotations

import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import IO

import localbucket

_writing = threading.Lock()
"""Held by whoever writes or removes an object: what If-Match has seen stays until it is replaced."""


class Handler(localbucket.S3Handler):
    wbufsize = 1 << 20
    disable_nagle_algorithm = True

    def _read_body(self) -> bytes:
        body = super()._read_body()
        if self.headers.get("Transfer-Encoding") is None:
            length = self.headers.get("x-amz-decoded-content-length") or self.headers.get("Content-Length") or "0"
            if len(body) != int(length):
                raise localbucket.S3Error(HTTPStatus.BAD_REQUEST, "IncompleteBody", "The upload broke off.")
        return body

    def _post_request(self, bucket: str, key: str) -> None:
        if key or "delete" not in self.query:
            super()._post_request(bucket, key)
            return
        names = [item.text or "" for item in ET.fromstring(self._read_body()).findall("{*}Object/{*}Key")]
        done = ET.Element("DeleteResult", xmlns=localbucket.S3_NAMESPACE)
        for name in names:
            with _writing:
                self._object_path(bucket, name).unlink(missing_ok=True)
            localbucket.sub_element(ET.SubElement(done, "Deleted"), "Key", name)
        self._send_xml(done)

    def _write_object(self, bucket: str, key: str, write: Callable[[IO[bytes]], str]) -> str:
        wanted = self.headers.get("If-Match")
        with _writing:
            if wanted is not None:
                target = self._object_path(bucket, key)
                if not target.is_file():
                    raise localbucket.S3Error(HTTPStatus.NOT_FOUND, "NoSuchKey", "There is no such object.")
                if not localbucket.etag_matches(wanted, localbucket.object_etag(target)):
                    raise self._precondition_failed_error()
            return str(super()._write_object(bucket, key, write))

    def log_message(self, format: str, *words: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is nothing to report."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main(folder: str, host: str, port: str) -> None:
    Handler.data_root = Path(folder).resolve()
    Handler.data_root.mkdir(parents=True, exist_ok=True)
    Server((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
