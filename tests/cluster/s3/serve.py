"""``python serve.py FOLDER HOST PORT``: localbucket with a real server's habits.

An upload that breaks off is refused, where localbucket would keep its beginning; many clients may knock at once; an
answer leaves as one piece, where two would wait for each other (Nagle); and many objects can be deleted by one request.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path

import localbucket


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
            self._object_path(bucket, name).unlink(missing_ok=True)
            localbucket.sub_element(ET.SubElement(done, "Deleted"), "Key", name)
        self._send_xml(done)

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
