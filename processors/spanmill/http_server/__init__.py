"""A small HTTP server in a thread of its own, for any ASGI application."""

from spanmill.http_server.asgi import App, Message, Receive, Scope, Send
from spanmill.http_server.connection import ConnectionLimits
from spanmill.http_server.server import HttpServer

__all__ = ["App", "ConnectionLimits", "HttpServer", "Message", "Receive", "Scope", "Send"]
