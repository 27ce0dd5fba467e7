#!/usr/bin/env python3
"""Asks a running Hudhud whatever its own description allows, and much that it does not, and holds every answer against
that description.

    fuzz_api.py HUDHUD SIMULATOR [--seconds 40] [--seed N]      starts both, with a few made-up people
    fuzz_api.py --url URL --key API_KEY …                       asks one that runs, and spoils its data

For each operation of /api/openapi.json requests are made whose parameters and bodies are as described, and others that
are wrong in one place: another type, a missing or unknown field, numbers beyond any range, texts with what databases
and terminals stumble over, bodies that are no JSON. Names and ids are mostly of things that are there, so that requests
get past the first check. An answer fails the run when

  - its status is 500 or above, but for 503 (something that Hudhud needs does not answer),
  - its status is not described: a success that the operation does not name, or a refusal that is no problem document,
  - its body is not of the described form, or a secret's,
  - there is none.

Only Python's own library is used. The same seed asks the same, as long as the answers are the same."""
import argparse
import collections
import contextlib
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

PROBLEM = {"$ref": "#/components/schemas/Problem"}
# What would end or starve the run itself: nothing is left to ask with, or everything is refused for its rate.
LEFT_OUT = {("get", "/api/v1/events")}
NASTY = [
    "", " ", "\0", "a\0b", "\u202e\u2066", "'; DROP TABLE sends; --", "%00", "%", "../../etc/passwd", "\ud7ff\ue000",
    "\U0001f426" * 3, "٠١٢", "x" * 300, "x" * 70_000, "\r\nX-Injected: yes", "null", "-1", "1e308", "{name|", "{{1}}",
    "NaN", "0", "00", "9223372036854775808", "\u0000", "\ufeff", "=cmd|' /C calc'!A0", "\x7f", "é" * 90,
]
NUMBERS = [0, -1, 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, -(2**63), 2**64, 10**40, 0.5, -0.0, 1e308]
TIMES = ["2026-01-05T00:00:00Z", "2026-13-45T99:99:99Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
         "-9999-01-01T00:00:00Z", "2026-11-22", "+262142-12-31T23:59:59Z", "2026-01-05T00:00:00+23:59"]


class Fuzz:
    def __init__(self, url, key, seed):
        self.host = urllib.parse.urlsplit(url).netloc
        self.key = key
        self.random = random.Random(seed)
        self.line = None
        self.known = collections.defaultdict(list)
        self.failures = collections.OrderedDict()
        self.statuses = collections.Counter()
        self.asked = collections.Counter()
        _, _, body = self.ask("GET", "/api/openapi.json")
        self.document = json.loads(body)
        self.operations = [
            (method, path, operation)
            for path, item in sorted(self.document["paths"].items())
            for method, operation in sorted(item.items())
            if (method, path) not in LEFT_OUT
        ]

    # Asking

    def ask(self, method, target, body=None, headers=None):
        headers = {"authorization": f"Bearer {self.key}", **(headers or {})}
        for again in (True, False):
            if self.line is None:
                self.line = http.client.HTTPConnection(self.host, timeout=30)
            try:
                self.line.request(method, target, body=body, headers=headers)
                answer = self.line.getresponse()
                return answer.status, answer.headers, answer.read()
            except (http.client.HTTPException, OSError) as error:
                self.line.close()
                self.line = None
                # A connection that was kept may have been closed meanwhile.
                if not again:
                    return 0, {}, repr(error).encode()
        return 0, {}, b""

    # Making

    def resolved(self, schema):
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def merged(self, schema):
        """The schema with the fields of all that it consists of (`allOf`, at any depth)."""
        schema = self.resolved(schema)
        if "allOf" not in schema:
            return schema
        whole = {**schema, "properties": dict(schema.get("properties", {})), "required": list(schema.get("required", []))}
        del whole["allOf"]
        for part in map(self.merged, schema["allOf"]):
            whole["properties"].update(part.get("properties", {}))
            whole["required"].extend(part.get("required", []))
            for word, said in part.items():
                whole.setdefault(word, said)
        return whole

    def value(self, schema, name="", depth=0):
        """Something as described; known names and ids where the field is called like them."""
        schema = self.resolved(schema)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                return self.value(self.random.choice(schema[word]), name, depth)
        if "allOf" in schema:
            whole = {}
            for part in schema["allOf"]:
                made = self.value(part, name, depth)
                whole.update(made if isinstance(made, dict) else {})
            return whole
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kinds = schema.get("type", "object")
        kind = self.random.choice(kinds) if isinstance(kinds, list) else kinds
        if kind == "null":
            return None
        if kind == "boolean":
            return self.random.random() < 0.5
        if kind in ("integer", "number"):
            return self.named(name, numeric=True) or self.random.choice([1, 2, 5, 80, 1000])
        if kind == "array":
            return [self.value(schema.get("items", {}), name.rstrip("s"), depth + 1) for _ in range(self.random.randint(0, 3))]
        if kind == "object":
            made = {}
            for field, inner in schema.get("properties", {}).items():
                if field in schema.get("required", []) or self.random.random() < 0.5:
                    made[field] = self.value(inner, field, depth + 1)
            if not schema.get("properties") and isinstance(schema.get("additionalProperties"), dict):
                made = {str(n): self.value(schema["additionalProperties"], "", depth + 1) for n in range(1, 3)}
            return made
        return self.named(name) or "".join(self.random.choices(string.ascii_letters + " -.é", k=self.random.randint(1, 20)))

    def named(self, name, numeric=False):
        pool = {
            "lists": "list", "exclude_list": "list", "exclude": "list", "numbers": "number", "phone_number_id": "number",
            "id": "campaign", "waba_id": "number", "to": "person", "phone": "person",
        }.get(name, name)
        if pool in ("at", "since", "opt_in_at", "until", "ends_at"):
            return self.random.choice(TIMES)
        found = [each for each in self.known[pool] if not numeric or isinstance(each, int)]
        return self.random.choice(found) if found and self.random.random() < 0.85 else None

    def spoiled(self, value):
        """The same with something wrong in one place."""
        turn = self.random.random()
        if isinstance(value, dict) and value and turn < 0.85:
            value = dict(value)
            field = self.random.choice(list(value))
            if turn < 0.15:
                del value[field]
            elif turn < 0.25:
                value["surprise"] = self.random.choice(NASTY)
            else:
                value[field] = self.spoiled(value[field])
            return value
        if isinstance(value, list) and value and turn < 0.5:
            return [self.spoiled(value[0]), *value[1:]]
        if isinstance(value, str) and turn < 0.6:
            return self.random.choice(NASTY + TIMES)
        return self.random.choice([None, True, [], {}, [[]] * 3, *NASTY[:12], *NUMBERS])

    def request(self, method, path, operation, wrong):
        """A request line, a body and headers; wrong in one place if `wrong`."""
        query, parts, places = [], path, []
        spoil = self.random.choice(["path", "query", "body", "header", "body"]) if wrong else ""
        for parameter in operation.get("parameters", []):
            value = self.value(parameter.get("schema", {}), parameter["name"])
            if parameter["in"] == "path":
                value = self.random.choice(NASTY[1:17] + [str(n) for n in NUMBERS]) if spoil == "path" else value
                text = urllib.parse.quote(str(value), safe="") or "%20"
                parts = parts.replace("{" + parameter["name"] + "}", text[:4000])
            elif parameter["in"] == "query":
                places.append(parameter["name"])
                if parameter.get("required") or self.random.random() < 0.5:
                    value = value if isinstance(value, str) else json.dumps(value)
                    query.append((parameter["name"], value))
        headers = {}
        if spoil == "query" and places:
            name = self.random.choice(places)
            value = self.random.choice(NASTY[:17] + TIMES + [str(n) for n in NUMBERS])
            query = [pair for pair in query if pair[0] != name or self.random.random() < 0.3] + [(name, value[:4000])]
        if spoil == "header":
            headers["idempotency-key"] = self.random.choice(["", "x" * 300, "k", "k2", "\xff"])
        encoded = urllib.parse.urlencode(query, errors="surrogatepass")
        if spoil == "query" and self.random.random() < 0.1:
            encoded += self.random.choice(["&%ff=%fe", "&&&=", "&limit=1&limit=2", "&after=%00"])
        target = f"{parts}?{encoded}" if encoded else parts
        body = None
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]
            if "application/json" in content:
                headers["content-type"] = "application/json"
                value = self.value(content["application/json"].get("schema", {}))
                body = json.dumps(self.spoiled(value) if spoil == "body" else value).encode()
                if spoil == "body" and self.random.random() < 0.2:
                    body = self.random.choice([b"", b"{", b"\xff\xfe{}", b"[" * 5000, body + b"}", b"null", b"\"text\""])
                    headers["content-type"] = self.random.choice(["application/json", "text/plain", "nonsense", ""])
            else:
                headers["content-type"] = "text/csv"
                body = "name,phone,city\nMona,+201000000001,Cairo\nOmar,0100,Giza\n".encode()
                if spoil == "body":
                    body = self.random.choice([b"", b"\0\0\0", b"PK\x03\x04rubbish", b"phone\n" + b"\xff" * 3000, b"phone," * 5000, b'"phone\n+2010'])
        return target, body, headers

    # Holding answers against the description

    def mismatch(self, value, schema, where="$", depth=0):
        """What of the value is not as described; `None` if nothing is."""
        if depth > 40:
            return None
        schema = self.merged(schema)
        for word in ("oneOf", "anyOf"):
            if word in schema:
                found = [self.mismatch(value, part, where, depth + 1) for part in schema[word]]
                return None if None in found else found[0]
        if "enum" in schema and value not in schema["enum"]:
            return f"{where} is {value!r}, not one of {schema['enum']}"
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds] if kinds else []
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            "null": value is None, "boolean": isinstance(value, bool), "string": isinstance(value, str),
            "array": isinstance(value, list), "object": isinstance(value, dict), "number": is_number,
            "integer": is_number and value == int(value),
        }
        if kinds and not any(fits.get(kind, True) for kind in kinds):
            return f"{where} is {type(value).__name__}, not {' or '.join(kinds)}"
        if isinstance(value, dict):
            for field in schema.get("required", []):
                if field not in value:
                    return f"{where}.{field} is missing"
            properties = schema.get("properties", {})
            others = schema.get("additionalProperties")
            for field, inner in value.items():
                if field in properties:
                    found = self.mismatch(inner, properties[field], f"{where}.{field}", depth + 1)
                elif isinstance(others, dict):
                    found = self.mismatch(inner, others, f"{where}.{field}", depth + 1)
                else:
                    found = f"{where}.{field} is not described" if properties and others is not True else None
                if found:
                    return found
        if isinstance(value, list) and "items" in schema:
            for place, inner in enumerate(value[:50]):
                found = self.mismatch(inner, schema["items"], f"{where}[{place}]", depth + 1)
                if found:
                    return found
        return None

    def wrong_with(self, operation, status, headers, body):
        """What is wrong with an answer; `None` if nothing is."""
        if status == 0:
            return f"no answer: {body.decode(errors='replace')}"
        if status >= 500 and status != 503:
            return f"status {status}: {body.decode(errors='replace')[:300]}"
        kind = (headers.get("content-type") or "").split(";")[0]
        described = operation["responses"].get(str(status))
        if status < 300 and described is None:
            return f"status {status} is not described"
        if status >= 300:
            described = described or operation["responses"].get("default")
            if described is None:
                return f"status {status} is not described"
            if kind != "application/problem+json":
                return f"a refusal ({status}) that is no problem document but {kind!r}"
        if status == 204:
            return f"a body of {len(body)} bytes with 204" if body else None
        content = described.get("content", {})
        if not content:
            return None
        if kind not in content:
            return f"{kind!r} is described as none of {list(content)}"
        # A line of JSON each is no JSON.
        if kind not in ("application/json", "application/problem+json"):
            return None
        try:
            value = json.loads(body)
        except ValueError as error:
            return f"its body is no JSON: {error}"
        return self.mismatch(value, content[kind].get("schema", PROBLEM))

    def learn(self, path, body):
        """Names and ids of what is there."""
        try:
            items = json.loads(body)
        except ValueError:
            return
        items = items.get("items", [items]) if isinstance(items, dict) else items
        pools = {
            "lists": [("list", "name")], "campaigns": [("campaign", "id"), ("campaign", "name")],
            "imports": [("import", "import_id")], "numbers": [("number", "phone_number_id")],
            "templates": [("template", "name"), ("name", "name"), ("language", "language")],
            "accounts": [("account", "name")], "users": [("user", "id")], "lifts": [("lift", "id")],
            "reviews": [("review", "id")], "in-doubt": [("send", "id")], "words": [("phrase", "phrase")],
        }
        for pool, field in pools.get(path.rsplit("/", 1)[1], []):
            for item in items[:30]:
                if isinstance(item, dict) and item.get(field) is not None and item[field] not in self.known[pool]:
                    self.known[pool].append(item[field])

    def once(self, method, path, operation, wrong):
        target, body, headers = self.request(method, path, operation, wrong)
        try:
            target.encode("ascii")
        except UnicodeEncodeError:
            return
        status, got, text = self.ask(method.upper(), target, body, headers)
        if status == 429:
            time.sleep(min(5, int(got.get("retry-after") or 1)))
            return
        self.statuses[status] += 1
        self.asked[(method, path)] += 1
        if method == "get" and status == 200:
            self.learn(path, text)
        wrong = self.wrong_with(operation, status, got, text)
        if wrong:
            name = f"{method.upper()} {path}: {wrong.split(':')[0]}"
            self.failures.setdefault(name, f"{method.upper()} {target[:300]} {body[:300] if body else ''}\n      {wrong}")

    def run(self, seconds):
        self.known["person"] = ["+201000000001", "+20 100 000 0002", "EG.1349abc"]
        self.known["email"] = ["mona@example.com"]
        reads = [each for each in self.operations if each[0] == "get" and "{" not in each[1]]
        for method, path, operation in reads:
            self.once(method, path, operation, False)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and len(self.failures) < 40:
            for method, path, operation in self.random.sample(self.operations, len(self.operations)):
                if time.monotonic() >= ends:
                    break
                # Its own key goes last, and everything that was made before it would go with a removed list.
                if method == "delete" and self.random.random() < 0.7:
                    continue
                self.once(method, path, operation, self.random.random() < 0.6)
        # A slow machine does not come to all of them in that time. (Some requests cannot be sent, some are refused for their rate.)
        for method, path, operation in self.operations:
            for wrong in [True] * 5 + [False] * 5:
                if not self.asked[(method, path)]:
                    self.once(method, path, operation, wrong)


WABA, NUMBER = "100200300400500", "200100000000001"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def running(hudhud, simulator):
    """A server with an account, two lists and two campaigns, before a simulated Cloud API: its URL and an admin's key.
    Afterwards the log must tell of no panic, and the process must end in order."""
    with tempfile.TemporaryDirectory(prefix="hudhud-fuzz-") as place:
        place = pathlib.Path(place)
        listen, admin = free_port(), free_port()
        url = f"http://127.0.0.1:{listen}"
        secrets = {"access_token": "simulated-access-token", "app_secret": "simulated-app-secret", "verify_token": "words"}
        (place / "sim.json").write_text(json.dumps(
            {"default_rate": 1000, "webhook": {"url": f"{url}/webhooks/whatsapp", "app_secret": secrets["app_secret"]}}))
        cloud = subprocess.Popen([simulator, "--listen", "127.0.0.1:0", "--config", place / "sim.json"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        graph = json.loads(cloud.stdout.readline())["listening"]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HUDHUD_")}
        env = {**kept, "HUDHUD_DATA_DIR": str(place / "data"), "HUDHUD_LISTEN": f"127.0.0.1:{listen}",
               "HUDHUD_ADMIN_LISTEN": f"127.0.0.1:{admin}", "HUDHUD_GRAPH_URL": f"http://{graph}", "HUDHUD_LOG": "warn",
               "HUDHUD_LOG_FORMAT": "json"}
        log = open(place / "serve.log", "w+b")
        server = subprocess.Popen([hudhud, "serve"], env=env, cwd=place, stdout=log, stderr=log)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    if urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz").status == 200:
                        break
                time.sleep(0.1)
            made = subprocess.run([hudhud, "apikey", "create", "fuzz", "--role", "admin", "--json"], env=env, cwd=place,
                                  capture_output=True, check=True)
            key = json.loads(made.stdout)["key"]

            def post(path, body, kind="application/json"):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                headers = {"authorization": f"Bearer {key}", "content-type": kind}
                return json.load(urllib.request.urlopen(urllib.request.Request(url + path, body, headers)))

            post("/api/v1/accounts", {"name": "shop", "waba_id": WABA, **secrets})
            post("/api/v1/accounts/sync", {})
            people = "name,phone\n" + "".join(f"Person {n},+2010{n:08}\n" for n in range(60))
            for name in ("eid", "spring"):
                post(f"/api/v1/imports?list={name}&opt_in_source=form&opt_in_at=2026-01-05T00:00:00Z", people.encode(), "text/csv")
            for name in ("one", "two"):
                post("/api/v1/campaigns", {"name": name, "template": "eid_offer", "language": "en", "lists": ["eid"],
                                           "numbers": [NUMBER], "params": {"1": "{name|friend}", "2": "20%"}})
            yield url, key
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                ended = server.wait(40)
            finally:
                server.kill()
                cloud.kill()
                log.seek(0)
                text = log.read().decode(errors="replace")
        for line in text.splitlines():
            if "panicked" in line or '"ERROR"' in line and "a request failed" in line:
                print(f"  in the log: {line[:400]}")
        if "panicked" in text or ended != 0:
            sys.exit(f"fuzz: the server ended with {ended}, or panicked")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hudhud", nargs="?")
    parser.add_argument("simulator", nargs="?")
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    there = contextlib.nullcontext((given.url, given.key)) if given.url else running(given.hudhud, given.simulator)
    with there as (url, key):
        fuzz = Fuzz(url, key, given.seed)
        fuzz.run(given.seconds)
    never = [f"{method.upper()} {path}" for method, path, _ in fuzz.operations if not fuzz.asked[(method, path)]]
    print(f"fuzz: seed {given.seed}, {sum(fuzz.asked.values())} requests to {len(fuzz.operations)} operations, statuses "
          + ", ".join(f"{status} × {count}" for status, count in sorted(fuzz.statuses.items())))
    for name in never:
        print(f"  never asked: {name}")
    for name, detail in fuzz.failures.items():
        print(f"  FAILED {name}\n      {detail}")
    sys.exit(1 if fuzz.failures or never else 0)


if __name__ == "__main__":
    main()
