"""What claude-code-provider-balancer counts of a request (reference/systems.md §5.11), by Python's own json: reads
Anthropic's requests, a line each, and writes for each a list of the texts, and the number of images."""
import json
import sys


def texts_of(request):
    texts, images = [], 0
    system = request.get("system", [])
    texts += [system] if isinstance(system, str) else [block["text"] for block in system]
    for message in request["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if block["type"] == "text":
                texts.append(block["text"])
            elif block["type"] == "image":
                images += 1
            elif block["type"] == "tool_use":
                texts.append(json.dumps(block["input"]))
            elif block["type"] == "tool_result":
                items = block.get("content", "")
                texts.append(items if isinstance(items, str) else "".join(
                    item["text"] if item["type"] == "text" else json.dumps(item) for item in items))
    for tool in request.get("tools", []):
        texts += [tool["name"] + tool.get("description", ""), json.dumps(tool["input_schema"])]
    return texts, images


for line in sys.stdin:
    print(json.dumps(texts_of(json.loads(line))))
