"""A small server that speaks the part of Elasticsearch's protocol that the product uses, strictly; for tests.

It proves that our requests are well formed and that versions are respected; that Elasticsearch's own analyzer cuts as
ours does is proved only against a real server (`ELASTICSEARCH_URL`).
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from marketplace import search


class Double(ThreadingHTTPServer):
    """Indices in memory; `down` makes it answer 503."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.indices = {}
        self.versions = {}
        self.down = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None):
        content = json.dumps(body or {}).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handle_request(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(body) if body else None
        parts = urlsplit(self.path)
        path = [unquote(part) for part in parts.path.strip("/").split("/")]
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if self.server.down:
            self.answer(503, {"error": {"type": "unavailable"}, "status": 503})
            return
        match (self.command, path):
            case "HEAD", [index]:
                self.answer(200 if index in self.server.indices else 404)
            case "PUT", [index]:
                self.create(index, body)
            case "PUT", [index, "_doc", key]:
                self.put(index, key, query, body)
            case "POST", [index, "_search"]:
                self.search(index, body)
            case "POST", [_, "_refresh"]:
                self.answer(200)
            case _:
                self.answer(400, {"error": {"type": "not understood"}, "status": 400})

    do_HEAD = do_GET = do_PUT = do_POST = handle_request  # noqa: N815 - the names that http.server calls

    def create(self, index, body):
        if index in self.server.indices:
            self.answer(400, {"error": {"type": "resource_already_exists_exception"}, "status": 400})
            return
        assert set(body) == {"mappings", "settings"}
        analyzers = set(body["settings"]["analysis"]["analyzer"])
        content = body["mappings"]["properties"]["content"]
        assert {content["analyzer"], content["search_analyzer"]} <= analyzers
        self.server.indices[index] = {}
        self.answer(200, {"acknowledged": True})

    def put(self, index, key, query, body):
        assert query["version_type"] == "external_gte"
        version, known = int(query["version"]), self.server.versions.get((index, key), 0)
        if version < known:
            self.answer(409, {"error": {"type": "version_conflict_engine_exception"}, "status": 409})
            return
        self.server.versions[index, key] = version
        self.server.indices[index][key] = body
        self.answer(200, {"result": "updated"})

    def search(self, index, body):
        if index not in self.server.indices:
            self.answer(404, {"error": {"type": "index_not_found_exception"}, "status": 404})
            return
        query = body["query"]["bool"]
        match = query["must"]["match"]["content"]
        assert match["operator"] == "and"
        hits = [
            {"_id": key, "_source": {"key": row["key"]}}
            for key, row in self.server.indices[index].items()
            if all(self.passes(row, part) for part in query["filter"])
            and set(search.query_tokens(match["query"])) <= set(search.index_tokens(row["content"]))
        ]
        self.answer(200, {"hits": {"hits": hits[: body["size"]]}})

    def passes(self, row, part):
        ((kind, condition),) = part.items()
        ((name, wanted),) = condition.items()
        return row[name] in wanted if kind == "terms" else row[name] == wanted
