"""
Counts the words of a text. What is read once, outside the handler, stays for all invocations of an execution environment.

The variable STOP_WORDS (function.yaml) names words that are not counted.
"""

import os
import re
from collections import Counter

STOP_WORDS = frozenset(os.environ.get("STOP_WORDS", "").split(","))


def handler(event, context):
    if not isinstance(event.get("text"), str):
        raise ValueError('an event such as {"text": "to be or not to be"} is wanted')
    words = [word for word in re.findall(r"\w+", event["text"].lower()) if word not in STOP_WORDS]
    print(f"{len(words)} words counted, {context.get_remaining_time_in_millis()} ms left")
    return {"words": len(words), "most_common": Counter(words).most_common(3)}
