"""Pages made by this program, and the policy that lets a browser run nothing but what they hold."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template

from node.http.gateway.pages.safe_text import visible
from node.version import VERSION

_FOLDER = Path(__file__).parents[2] / "templates"
_INCLUDE = re.compile(r"<!-- include ([a-z]+\.html) -->\n?")


@dataclass(frozen=True, slots=True)
class Page:
    """A template. `digest` changes with it and with the program; `policy` is its Content-Security-Policy."""

    template: Template
    digest: str
    policy: str

    def fill(self, texts: Mapping[str, str], html: Mapping[str, str]) -> str:
        """`texts` are escaped, and what is invisible in them is spelled out; `html` goes in as it is."""
        return self.template.substitute({name: visible(text) for name, text in texts.items()}, **html)


@cache
def page(name: str) -> Page:
    """The template of that file name."""
    text = _INCLUDE.sub(lambda included: _read(included[1]), _read(name))
    digest = hashlib.sha256(f"{VERSION}\n{text}".encode()).hexdigest()[:16]
    return Page(Template(text), digest, _policy(text))


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _policy(text: str) -> str:
    """Nothing is loaded from anywhere; styles and scripts are those of the template, by their hashes."""
    rules = ["default-src 'none'", "base-uri 'none'", "img-src data:"]
    for element in ("style", "script"):
        found = re.findall(f"<{element}>(.*?)</{element}>", text, re.DOTALL)
        if found:
            rules.append(" ".join((f"{element}-src", *map(_hash, found))))
    if "<form" not in text:  # where one leads is for its handler to say: redirects count as well
        rules.append("form-action 'none'")
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
