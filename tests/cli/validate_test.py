"""`validate` of a route, end to end: `lb serve` over `lb mock`, which says exact texts. Acceptance scenario 13 of the
reference: JSON in prose, a list of objects, nesting, a bare string, a schema that the second answer fits, giving up."""

import http.client
import json
import unittest

from program import PATIENCE_S, Case

SCHEMA = {"type": "object", "required": ["a"]}
DEEP = '{"a":{"b":{"c":{"d":{"e":[{"f":"}"}]}}}}}'


class Validate(Case):
    def world(self, texts, validate, dialect="openai", retries=5):
        """A gateway over a mock that says one text after another, the last one for ever."""
        script = {"text": texts[-1], "journal_body": 65536,
                  "per_call": [{"nth": i + 1, "text": text} for i, text in enumerate(texts[:-1])]}
        self.mock = self.service("mock", "--options", json.dumps(script)).address()
        path = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}[dialect]
        return self.serve(json.dumps({
            "listen": [{"address": "127.0.0.1:0"}],
            "deployments": [{"name": "near", "url": f"http://{self.mock}{path}", "dialect": dialect, "models": ["m"]}],
            "routes": [{"model": "m", "retries": retries, "validate": validate}]})).address()

    def post(self, address, path, body):
        connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()

    def chat(self, address):
        body = {"model": "m", "messages": [{"role": "user", "content": "q"}]}
        status, headers, text = self.post(address, "/v1/chat/completions", body)
        self.assertEqual(status, 200, text)
        return json.loads(text)["choices"][0]["message"]["content"]

    def asked(self):
        """The bodies that the mock has got."""
        journal = json.loads(self.get(self.mock, "/mock/journal")[1])
        return [json.loads(call["body"]) for call in journal["calls"]]

    def test_json_is_taken_out_of_prose(self):
        for said, want in (("Sure! {\"a\":1} Bye.", '{"a":1}'), ("```json\n[1, 2]\n```", "[1, 2]"),
                           ('See: [{"a":1},{"a":2}] there', '[{"a":1},{"a":2}]'), (f"So {DEEP} it is", DEEP),
                           ('"a bare string"', '"a bare string"')):
            self.assertEqual(self.chat(self.world([said], {"json": "find"})), want)
            self.assertEqual(len(self.asked()), 1)

    def test_the_second_answer_fits_the_schema(self):
        address = self.world(['{"b":1}', '{"a":1}'], {"schema": SCHEMA, "wanted": "the letter a"})
        self.assertEqual(self.chat(address), '{"a":1}')
        first, second = self.asked()
        self.assertEqual(second["messages"][:1], first["messages"])
        self.assertEqual(second["messages"][1], {"role": "assistant", "content": '{"b":1}'})
        self.assertEqual(second["messages"][2]["role"], "user")
        for part in ('lacks the member "a"', "the letter a", json.dumps(SCHEMA, separators=(",", ":"))):
            self.assertIn(part, second["messages"][2]["content"])

    def test_it_gives_up_after_the_last_ask(self):
        address = self.world(["no"], {"schema": SCHEMA})
        for path, body in (("/v1/chat/completions", {"messages": [{"role": "user", "content": "q"}]}),
                           ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "q"}]}),
                           ("/v1/responses", {"input": "q", "stream": True})):
            before = len(self.asked())
            status, headers, text = self.post(address, path, {"model": "m", **body})
            self.assertEqual((status, headers["x-lb-attempts"]), (422, "4"), text)
            self.assertIn("asked 4 times", json.loads(text)["error"]["message"])
            self.assertEqual(len(self.asked()), before + 4)

    def test_streams_are_whole_and_valid_or_nothing(self):
        said = ["no", 'Well: {"a": "' + "word " * 40 + '"} good']
        for dialect in ("openai", "anthropic", "gemini"):
            address = self.world(said, {"schema": SCHEMA}, dialect)
            status, _, text = self.post(address, "/v1/messages", {
                "model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "q"}]})
            self.assertEqual(status, 200, text)
            deltas = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
            found = "".join(delta["delta"].get("text", "") for delta in deltas if delta["type"] == "content_block_delta")
            self.assertEqual(json.loads(found)["a"], "word " * 40)
            self.assertNotIn("Well", found)
            self.assertEqual(deltas[-1]["type"], "message_stop")
            self.assertEqual(len(self.asked()), 2)


if __name__ == "__main__":
    unittest.main()
