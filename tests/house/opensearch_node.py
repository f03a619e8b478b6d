"""Lets elasticsearch-py 9 talk to an OpenSearch node, for tests where no Elasticsearch can be had.

The same Lucene analysis runs in both; only the product header and the versioned media types differ.
"""

import json
import urllib.request

from elastic_transport import HttpHeaders, Urllib3HttpNode
from elasticsearch import Elasticsearch


class OpenSearchNode(Urllib3HttpNode):
    """Rewrites media types on the way out and the product header on the way in."""

    def perform_request(self, method, target, body=None, headers=None, request_timeout=None):
        sent = HttpHeaders(headers or {})
        for name in ("content-type", "accept"):
            if name in sent:
                sent[name] = "application/json"
        answer = super().perform_request(method, target, body, sent, request_timeout)
        answer.meta.headers = HttpHeaders({**answer.meta.headers, "x-elastic-product": "Elasticsearch"})
        return answer


def client(url):
    """A client for the server at `url`, whichever of the two it is."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.load(answer)["version"].get("distribution", "elasticsearch")
    if found != "opensearch":
        return Elasticsearch(url, request_timeout=10)
    return Elasticsearch(url, request_timeout=10, node_class=OpenSearchNode)
