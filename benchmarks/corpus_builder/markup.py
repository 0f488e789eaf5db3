"""Plain text of HTML pages and of manual pages, and pieces of books."""

import html.parser
import re
from collections.abc import Iterator

CHUNK_CHARACTERS = 4000
"""Books without sections are cut at ends of paragraphs, near this length."""


class _TextOfHtml(html.parser.HTMLParser):
    _SKIP = frozenset("script style nav head noscript".split())
    _BLOCK = frozenset(
        "p li dt dd h1 h2 h3 h4 h5 h6 pre td th div tr section blockquote br table ul ol".split()
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipped = 0
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._skipped += tag in self._SKIP
        self._pre += tag == "pre"
        if tag in self._BLOCK:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in self._SKIP and self._skipped > 0
        self._pre -= tag == "pre" and self._pre > 0
        if tag in self._BLOCK:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.parts.append(data if self._pre else re.sub(r"\s+", " ", data))


def html_text(markup: str) -> str:
    """Return the readable text of a page, one line per block."""
    parser = _TextOfHtml()
    parser.feed(markup)
    text = re.sub(r"[ \t]+\n|\n[ \t]+(?=\S)", "\n", "".join(parser.parts))
    return re.sub(r"\n{3,}", "\n\n", text)


def man_text(roff: str) -> str:
    """Return the readable text of a manual page."""
    text = re.sub(r'^[.\']\\".*$', "", roff, flags=re.M)
    text = re.sub(
        r"^[.'](SH|SS|TH|B|I|BR|IR|RB|RI|BI|IB|Sh|Ss|Nm|Nd|Fl|Ar|It)\b ?", "", text, flags=re.M
    )
    text = re.sub(r"^[.'][a-zA-Z]{1,3}\b.*$", "", text, flags=re.M)
    text = re.sub(r"\\f.|\\&|\\\(..", "", text).replace("\\-", "-").replace("\\", "")
    return re.sub(r"\n{3,}", "\n\n", text)


def chunks(text: str) -> Iterator[str]:
    """Cut a book at paragraph ends into documents of about CHUNK_CHARACTERS characters."""
    buffer: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\r", "")):
        buffer.append(paragraph)
        if sum(map(len, buffer)) >= CHUNK_CHARACTERS:
            yield "\n\n".join(buffer)
            buffer = []
    yield "\n\n".join(buffer)
