"""`create_app`: a Flask application out of a runtime; it *receives* the packages, it knows none of them."""

from typing import Any

import flask_swagger_ui
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response
from flask_smorest import Api
from werkzeug.middleware.proxy_fix import ProxyFix

from marketplace import fields, http, openapi, runtime
from marketplace.runtime import Runtime


def create_app(running: Runtime) -> Flask:
    """Return the WSGI application of the modules in `running`."""
    runtime.install(running)
    app = Flask(__name__, static_folder=None)
    app.config.update(
        API_TITLE="NPL marketplace",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        MAX_CONTENT_LENGTH=running.settings.max_upload_bytes,
        MAX_FORM_MEMORY_SIZE=http.DEFAULT_MAX_BYTES,
        SECRET_KEY=running.settings.secret_key,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
    app.json.ensure_ascii = False  # type: ignore[attr-defined]  # set at run time, unknown to the stubs
    app.url_map.strict_slashes = False
    plugin = MarshmallowPlugin(schema_name_resolver=openapi.names())
    api = Api(app, spec_kwargs={"marshmallow_plugin": plugin})
    fields.document(plugin)
    for module in running.modules:
        for blueprint in module.blueprints:
            api.register_blueprint(blueprint)
        for pages in module.pages:
            app.register_blueprint(pages)
        if module.commands is not None:
            app.cli.add_command(module.commands)
        if module.error_page is not None:
            app.extensions["error_page"] = module.error_page
    http.register_errors(app)
    _serve_document(app, api)
    app.after_request(_harden)
    if (proxies := running.settings.trusted_proxies) > 0:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]  # werkzeug's own way
    return app


def _serve_document(app: Flask, api: Any) -> None:
    document = openapi.document(api)
    app.extensions["openapi"] = document

    @app.get("/api/v1/openapi.json")
    def openapi_document() -> dict[str, Any]:
        return document

    app.register_blueprint(
        flask_swagger_ui.get_swaggerui_blueprint(
            "/api/docs", "/api/v1/openapi.json", config={"app_name": "NPL marketplace", "validatorUrl": None}
        )
    )


def _harden(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("Cache-Control", "no-store")
    return response
