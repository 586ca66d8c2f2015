"""moto's S3 server with writes one by one: ``serve.py HOST PORT``, run by the Python of the environment beside.

moto looks whether a condition (If-None-Match, If-Match) holds and then writes, in a thread a request: two writers at
once both find it to hold. S3 promises that one of them fails, and that is what the tests are about.
"""

import io
import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

_writing = threading.Lock()


def one_by_one(app):
    def serve(environ, start_response):
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start_response)
        # The body first: a writer that is slow, or killed, is not to keep the others waiting.
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        with _writing:
            return app(environ, start_response)

    return serve


if __name__ == "__main__":
    host, port = sys.argv[1], int(sys.argv[2])
    os.environ["MOTO_PORT"] = str(port)
    app = one_by_one(DomainDispatcherApplication(create_backend_app))
    run_simple(host, port, app, threaded=True, request_handler=MotoRequestHandler)
