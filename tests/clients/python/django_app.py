"""The session application of the client tests on Django with django-redis cache sessions.

    python3 django_app.py PORT REDIS_URL
"""

import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

PORT, REDIS_URL = int(sys.argv[1]), sys.argv[2]

settings.configure(
    SECRET_KEY="tests only",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    SESSION_COOKIE_AGE=3600,
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
        }
    },
    LOGGING_CONFIG=None,
)
django.setup()


def show(request):
    return JsonResponse({"user": request.session.get("user"), "v": request.session.get("v")})


def ping(request):
    return JsonResponse({"ok": True})


def login(request):
    request.session["user"] = request.GET["u"]
    return show(request)


def touch(request):
    request.session.modified = True
    return show(request)


def update(request):
    request.session["v"] = request.GET["v"]
    return show(request)


def regenerate(request):
    request.session.cycle_key()
    return show(request)


def logout(request):
    request.session.flush()
    return JsonResponse({"user": None, "v": None})


urlpatterns = [
    path("ping", ping),
    path("login", login),
    path("read", show),
    path("touch", touch),
    path("update", update),
    path("regenerate", regenerate),
    path("logout", logout),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


make_server("127.0.0.1", PORT, get_wsgi_application(), Server, Quiet).serve_forever()
