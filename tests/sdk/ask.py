"""Asks through the official SDKs what tests/sdk.rs asks through vidgist.

ask.py ADDRESS KEY SOUND.flac PICTURE.jpg PICTURE.png: ADDRESS is http://host:port. The calls, in order: a chat, the same
streamed, a transcription, a message of Anthropic's, the same streamed. Fails where an SDK cannot read the reply.
"""

import base64
import json
import sys

import anthropic
import openai

address, key, sound, jpeg, png = sys.argv[1:]
PICTURES = [("image/jpeg", jpeg), ("image/png", png)]
SCHEMA = {
    "type": "object",
    "properties": {"mark": {"type": "integer"}},
    "required": ["mark"],
    "additionalProperties": False,
}


def base64_of(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


def read(text):
    """What the server answers is JSON that lists the pictures."""
    assert len(json.loads(text)["pictures"]) == 2, text


client = openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)
parts = [{"type": "text", "text": "[t=00:01.5 #0]"}]
for mime, path in PICTURES:
    url = f"data:{mime};base64,{base64_of(path)}"
    parts.append({"type": "image_url", "image_url": {"url": url, "detail": "high"}})
parts.append({"type": "text", "text": 'Says "Über"?\n🎞'})
chat = {
    "model": "fake-chat",
    "messages": [{"role": "system", "content": "Rules"}, {"role": "user", "content": parts}],
    "max_completion_tokens": 800,
    "n": 2,
    "reasoning_effort": "low",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "marks", "strict": True, "schema": SCHEMA},
    },
    "seed": -7,
    "stop": ["END", "\n\n"],
    "temperature": 0.25,
    "top_p": 0.5,
}
reply = client.chat.completions.create(**chat)
assert len(reply.choices) == 2
read(reply.choices[1].message.content)

text, usage = "", None
for chunk in client.chat.completions.create(**chat, stream=True, stream_options={"include_usage": True}):
    text += "".join(choice.delta.content or "" for choice in chunk.choices if choice.index == 0)
    usage = chunk.usage or usage
read(text)
assert usage.completion_tokens > 0

with open(sound, "rb") as file:
    heard = client.audio.transcriptions.create(
        file=("audio.flac", file, "audio/flac"),
        model="fake-ear",
        language="en",
        prompt="Vidgist",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
assert heard.segments and heard.words, heard

client = anthropic.Anthropic(base_url=address, api_key=key, max_retries=0)
content = [{"type": "text", "text": "[t=00:01.5 #0]"}]
for mime, path in PICTURES:
    source = {"type": "base64", "media_type": mime, "data": base64_of(path)}
    content.append({"type": "image", "source": source})
content.append({"type": "text", "text": 'Says "Über"?\n🎞'})
message = {
    "model": "fake-chat",
    "system": "Rules",
    "max_tokens": 800,
    "messages": [{"role": "user", "content": content}],
    "stop_sequences": ["END"],
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
}
reply = client.messages.create(**message)
read("".join(block.text for block in reply.content if block.type == "text"))
with client.messages.stream(**message) as stream:
    read("".join(stream.text_stream))
