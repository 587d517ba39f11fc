#!/usr/bin/env python3
"""Checks many bundles of booked sessions in one go, for the tests.

Usage: each.py FILE. One JSON value a line: a bundle, or one with its signature. Prints a line for
each: the story as a list, or why it does not hold as a text.
"""
import json, os, sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from booked import Broken, signed_story, story

with open(sys.argv[1], encoding="utf-8") as file:
    for line in file:
        value = json.loads(line)
        try:
            is_signed = isinstance(value, dict) and "signature" in value
            told = signed_story(value) if is_signed else story(value)
        except Broken as error:
            told = str(error)
        print(json.dumps(told))
