"""Asks through the official SDKs' batches what tests/sdk.rs asks through vidgist's.

batch.py ADDRESS KEY: ADDRESS is http://host:port. Fails where an SDK cannot read a reply.
"""

import json
import sys

import anthropic
import openai

address, key = sys.argv[1:]


def read(text):
    assert json.loads(text)["pictures"] == [], text


client = openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)
lines = [
    {
        "custom_id": f"request-{number}",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "fake-chat",
            "messages": [{"role": "user", "content": f"Über {number}?\n🎞"}],
            "max_completion_tokens": 50,
        },
    }
    for number in range(2)
]
text = "".join(json.dumps(line) + "\n" for line in lines)
file = client.files.create(file=("requests.jsonl", text.encode(), "application/jsonl"), purpose="batch")
batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
assert [each.id for each in client.batches.list()] == [batch.id]
batch = client.batches.retrieve(batch.id)
assert batch.status == "completed" and batch.request_counts.completed == 2, batch
results = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
assert sorted(result["custom_id"] for result in results) == ["request-0", "request-1"]
read(results[0]["response"]["body"]["choices"][0]["message"]["content"])
client.files.delete(file.id)
client.files.delete(batch.output_file_id)

client = anthropic.Anthropic(base_url=address, api_key=key, max_retries=0)
requests = [
    {
        "custom_id": f"request-{number}",
        "params": {
            "model": "fake-chat",
            "messages": [{"role": "user", "content": [{"type": "text", "text": f"Über {number}?\n🎞"}]}],
            "max_tokens": 50,
        },
    }
    for number in range(2)
]
batch = client.messages.batches.create(requests=requests)
assert [each.id for each in client.messages.batches.list()] == [batch.id]
batch = client.messages.batches.retrieve(batch.id)
assert batch.processing_status == "ended" and batch.request_counts.succeeded == 2, batch
results = list(client.messages.batches.results(batch.id))
assert sorted(result.custom_id for result in results) == ["request-0", "request-1"]
read("".join(block.text for block in results[0].result.message.content if block.type == "text"))
client.messages.batches.delete(batch.id)
