"""A small client of the public HTTP API: JSON, uploads, downloads, repeated safely by `Idempotency-Key`."""

import http.client
import json
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

RETRIES: Final = 5
TIMEOUT: Final = 120


class ApiProblem(Exception):
    """The server answered with a problem document."""

    def __init__(self, method: str, path: str, status: int, document: dict[str, Any]) -> None:
        self.status = status
        self.code = str(document.get("code", ""))
        self.document = document
        errors = "; ".join(json.dumps(error, ensure_ascii=False) for error in document.get("errors", [])[:5])
        super().__init__(f"{method} {path}: {status} {self.code}: {document.get('detail', '')} {errors}")


@dataclass
class Client:
    """One user's or organisation's way in. `token` is a session token or an API key."""

    url: str
    token: str | None = None
    connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def sign_in(self, login: str, password: str) -> "Client":
        """Return a client with a session of this user."""
        token = self.post("/sessions", {"login": login, "password": password})["token"]
        return Client(self.url, token)

    def get(self, path: str) -> Any:
        """GET JSON."""
        return json.loads(self.send("GET", path)[1])

    def download(self, path: str) -> bytes:
        """GET a file."""
        return self.send("GET", path)[1]

    def post(self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
        """POST JSON; the answer's JSON, None when it has no body."""
        content = json.dumps(body if body is not None else {}).encode()
        answer = self.send("POST", path, content, "application/json", key)[1]
        return json.loads(answer) if answer else None

    def upload(self, path: str, form: dict[str, str], name: str, content: bytes, media_type: str) -> Any:
        """POST a multipart form with one file called `file`."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in form.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts += [head.encode(), f"Content-Type: {media_type}\r\n\r\n".encode(), content]
        parts += [f"\r\n--{boundary}--\r\n".encode()]
        answer = self.send("POST", path, b"".join(parts), f"multipart/form-data; boundary={boundary}", None)[1]
        return json.loads(answer)

    def send(
        self, method: str, path: str, body: bytes | None = None, media_type: str = "", key: str | None = None
    ) -> tuple[int, bytes]:
        """Send and return (status, body); a lost connection or a busy server is tried again with the same key."""
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = media_type
        if method == "POST":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        target = path if path.startswith("/api/") else f"/api/v1{path}"
        for attempt in range(RETRIES):
            try:
                status, answer = self._once(method, target, body, headers)
            except (OSError, http.client.HTTPException):
                self.connection = None
                if attempt + 1 == RETRIES:
                    raise
            else:
                if status < 400:
                    return status, answer
                if status != 503 or attempt + 1 == RETRIES:
                    raise ApiProblem(method, path, status, _document(answer))
            time.sleep(0.2 * 2**attempt)
        raise AssertionError

    def _once(self, method: str, target: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self.connection is None:
            address = urllib.parse.urlsplit(self.url)
            self.connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT)
        self.connection.request(method, target, body, headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def wait_for(
        self, path: str, done: Callable[[Any], bool], *, seconds: float, show: Callable[[Any], None] | None = None
    ) -> Any:
        """GET until `done(answer)`; raise TimeoutError with the last answer."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if show:
                show(answer)
            if done(answer):
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} after {seconds} s: {json.dumps(answer, ensure_ascii=False)[:400]}")
            time.sleep(0.25)

    def wait_for_job(self, job_id: str, *, seconds: float, show: Callable[[Any], None] | None = None) -> Any:
        """Wait for a job; raise RuntimeError with its problem when it failed."""
        ended = {"done", "failed"}
        job = self.wait_for(f"/jobs/{job_id}", lambda answer: answer["outcome"] in ended, seconds=seconds, show=show)
        if job["outcome"] == "failed":
            raise RuntimeError(json.dumps(job["problem"], ensure_ascii=False))
        return job


def _document(answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        return {"detail": answer[:200].decode(errors="replace")}
    return document if isinstance(document, dict) else {"detail": str(document)[:200]}
