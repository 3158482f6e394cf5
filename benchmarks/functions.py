"""Handlers of the functions that are measured."""

NO_OP = """
def handler(event, context):
    return event
"""

SLEEPS_A_SECOND = """
import time

def handler(event, context):
    time.sleep(1)
    return event
"""

BURNS_FIVE_MILLISECONDS = """
import time

def handler(event, context):
    end = time.process_time() + 0.005
    while time.process_time() < end:
        pass
    return event
"""

LEAVES_EVIDENCE = """
import os

evidence = os.open(os.environ["EVIDENCE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def handler(event, context):
    os.write(evidence, b"%d\\n" % event["n"])
"""
"""Appends the number of the event to a file; a line of a few bytes is appended whole or not at all."""
