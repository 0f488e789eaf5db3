"""Read WARC files, the archives of web crawls: the text of each HTML page is a record.

fastwarc parses the archive, and resiliparse extracts the main content of a page.
"""

from collections.abc import Iterator
from typing import IO, Any

from pretrain_workloads.data.sources.content import Damage, opened
from pretrain_workloads.data.sources.reading import PieceReading
from pretrain_workloads.data.sources.records import SourceRecord

_HTML = ("text/html", "application/xhtml+xml")
_OK = 200


def read_warc(reading: PieceReading) -> Iterator[SourceRecord]:
    """Yield the pages of a file; other responses than HTML with status 200 are skipped.

    A page's id is its URL. Pages without text are skipped, too: most are empty frames.
    """
    with opened(reading.folder, reading.piece) as stream:
        for number, page in enumerate(_responses(stream)):
            if not _is_html(page):
                continue
            position = f"record-{number}"
            if page.content_length > reading.max_record_bytes:
                limit = reading.max_record_bytes
                reason = f"record is too long: more than {limit:,} bytes; see spec.maxRecordBytes"
                reading.reject(position, reason, b"")
                continue
            text = _text(page)
            if text.strip():
                url = page.headers.get("WARC-Target-URI") or ""
                yield SourceRecord(position, url.strip("<>"), text)


def _responses(stream: IO[bytes]) -> Iterator[Any]:
    """Yield the responses of an archive.

    Raises:
        Damage: If it is none, or broken from here on.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    try:
        yield from ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True)
    except OSError as error:
        if error.errno is not None:
            raise  # the network or the disk failed; the file may be good
        raise Damage(f"is no WARC file, or damaged ({error})") from error


def _is_html(page: Any) -> bool:
    if page.http_headers is None or page.http_headers.status_code != _OK:
        return False
    return str(page.http_content_type or "").lower() in _HTML


def _text(page: Any) -> str:
    """Return the main content of a page as plain text."""
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    content = page.reader.read()
    encoding = page.http_charset or detect_encoding(content) or "utf-8"
    html = bytes_to_str(content, encoding, errors="replace")
    return str(extract_plain_text(html, main_content=True, alt_texts=False))
