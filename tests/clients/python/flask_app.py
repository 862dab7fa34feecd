"""The session application of the client tests on Flask with Flask-Session.

    python3 flask_app.py PORT REDIS_URL
"""

import logging
import sys
import uuid
from datetime import timedelta

import redis
from flask import Flask, jsonify, request, session
from flask_session import Session

PORT, REDIS_URL = int(sys.argv[1]), sys.argv[2]
logging.getLogger("werkzeug").setLevel(logging.ERROR)

app = Flask(__name__)
app.config.update(
    SESSION_TYPE="redis",
    SESSION_REDIS=redis.from_url(REDIS_URL),
    PERMANENT_SESSION_LIFETIME=timedelta(hours=1),
)
Session(app)


def show():
    return jsonify(user=session.get("user"), v=session.get("v"))


@app.get("/ping")
def ping():
    return jsonify(ok=True)


@app.get("/login")
def login():
    session["user"] = request.args["u"]
    return show()


@app.get("/read")
def read():
    return show()


@app.get("/touch")
def touch():
    session.modified = True
    return show()


@app.get("/update")
def update():
    session["v"] = request.args["v"]
    return show()


@app.get("/regenerate")
def regenerate():
    # This version of Flask-Session has no call for it: a new id, and the old key is deleted.
    interface = app.session_interface
    interface.redis.delete(interface.key_prefix + session.sid)
    session.sid = str(uuid.uuid4())
    return show()


@app.get("/logout")
def logout():
    session.clear()
    return jsonify(user=None, v=None)


app.run(host="127.0.0.1", port=PORT, threaded=True)
