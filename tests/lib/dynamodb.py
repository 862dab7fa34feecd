"""The DynamoDB of tests (tests/clients/node/dynamodb.js), and what tests do to its tables."""

import base64
import json
import subprocess
import urllib.request
from pathlib import Path

from .processes import Process, free_port, wait_until

SCRIPT = Path(__file__).resolve().parents[1] / "clients/node/dynamodb.js"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDTEST", "AWS_SECRET_ACCESS_KEY": "right"}

# Signs a request and sends it, on behalf of a test.
ASK = """
const aws4 = require('aws4'), http = require('node:http')
const [port, operation, body] = process.argv.slice(1)
const request = aws4.sign({ host: `127.0.0.1:${port}`, hostname: '127.0.0.1', port, method: 'POST', path: '/', body,
  region: 'eu-west-1', service: 'dynamodb', headers: { 'Content-Type': 'application/x-amz-json-1.0',
  'X-Amz-Target': 'DynamoDB_20120810.' + operation } }, { accessKeyId: 'AKIDTEST', secretAccessKey: 'right' })
http.request(request, (res) => res.pipe(process.stdout)).end(body)
"""


def node_program():
    found = list(SCRIPT.parent.glob("node_modules/node-linux-*/bin/node"))
    return found[0] if found else "node"


def bytes_value(data):
    return {"B": base64.b64encode(data).decode()}


class DynamodbServer:
    kind = "dynamodb"
    has_passwords = False  # credentials, of the environment
    keeps_commits = {}  # in memory, for as long as it runs

    def __init__(self, folder):
        self.port = free_port()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.process = None

    def start(self):
        argv = [node_program(), SCRIPT, self.port]
        log = self.folder / "dynamodb.log"
        self.process = Process(f"dynamodb {self.port}", [str(a) for a in argv], log).start()
        wait_until(self._answers, 30, "DynamoDB answers")
        return self

    def _answers(self):
        self.process.must_be_alive()
        try:
            self.set_faults()
        except OSError:
            return False
        return True

    def set_faults(self, **faults):
        data = json.dumps(faults).encode()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/faults", data, timeout=10).close()

    def url(self, table="sessions"):
        return f"dynamodb://eu-west-1/{table}?endpoint=http://127.0.0.1:{self.port}"

    def ask(self, operation, **body):
        body = json.dumps({"TableName": "sessions", **body})
        argv = [node_program(), "-e", ASK, str(self.port), operation, body]
        done = subprocess.run([str(a) for a in argv], cwd=SCRIPT.parent, capture_output=True, check=True)
        answer = json.loads(done.stdout)
        assert "__type" not in answer, answer
        return answer

    def make_database(self):
        pass  # `stayd backup init` makes the table

    def put(self, **item):
        self.ask("PutItem", Item=item)

    def kill(self):
        if self.process:
            self.process.kill()
