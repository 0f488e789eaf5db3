"""The kinds of personal data: how each is found, checked and masked."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pretrain_workloads.data.scrub import checks

_SURNAMES = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏窦章云苏潘葛范彭郎鲁韦"
    "马苗方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝邬安常乐于傅皮卞齐康伍余元顾孟黄穆萧尹姚邵汪祁毛狄"
    "戴宋庞熊纪舒屈项祝董梁杜阮蓝季贾路江童颜郭梅盛林钟徐邱骆高夏蔡田樊胡凌霍虞万柯管卢莫房丁邓洪包石"
    "崔吉龚程邢裴陆荣翁甄魏封储靳段侯班仰仲宁仇甘武刘龙叶黎白蒲赖卓蔺蒙乔温庄晏柴瞿阎连习艾向古易廖"
    "终耿匡文寇广欧沃利师巩聂晁敖冷辛简饶曾关相查游权闫覃涂肖"
)
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_HAN = "\u4e00-\u9fff"
_BEFORE_NAMES = "问谢请与和由向是给对找到见及的被让为"
"""Characters of everyday words that often stand right before a name."""
_TITLES = "先生|女士|小姐|太太|老师|教授|博士|医生|律师|经理"


@dataclass(frozen=True)
class PersonalDataKind:
    """One kind of personal data."""

    mask: str
    """What stands in its place."""

    patterns: tuple[re.Pattern[str], ...]
    group: int = 0
    """Group of the patterns that is masked; 0 means the whole match."""

    check: Callable[[str, str], bool] | None = None
    """Takes a match and the text before it, and returns whether it is one."""


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, patterns))


KINDS = {
    "keys": PersonalDataKind(
        "<key>",
        _compiled(
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[\s\S]+?"
            r"-----END [A-Z ]{0,20}PRIVATE KEY-----",
            r"(?<![A-Za-z0-9_])(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])",
            r"(?<![A-Za-z0-9_])(?:ghp|gho|ghs|ghr|github_pat)_[A-Za-z0-9_]{22,}",
            r"(?<![A-Za-z0-9_])xox[abprs]-[A-Za-z0-9-]{10,}",
            r"(?<![A-Za-z0-9_])sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}",
            r"(?<![A-Za-z0-9_])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{10,}",
        ),
    ),
    "assigned keys": PersonalDataKind(
        "<key>",
        _compiled(
            r"(?i:api[_-]?key|secret(?:[_-]?key)?|access[_-]?token|auth[_-]?token|passw(?:or)?d)"
            r"[\"']?\s{0,3}[:=]\s{0,3}[\"']?([A-Za-z0-9_+/=-]{20,})(?![A-Za-z0-9])"
        ),
        1,
        checks.is_random,
    ),
    "emails": PersonalDataKind(
        "<email>",
        _compiled(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.)+"
            r"(?!(?:png|jpe?g|gif|svg|webp|css|js|py)(?![A-Za-z]))[A-Za-z]{2,24}(?![A-Za-z0-9])"
        ),
    ),
    "id_cards": PersonalDataKind(
        "<id-card>",
        _compiled(
            r"(?<![\dA-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
            r"\d{3}[\dXx](?![\dA-Za-z])"
        ),
        check=checks.is_id_card,
    ),
    "bank_cards": PersonalDataKind(
        "<bank-card>",
        _compiled(
            r"(?<![\dA-Za-z.-])\d{4}([ -]?)\d{4}(?:\1\d{4}){2}(?:\1?\d{1,3})?(?![\dA-Za-z-])"
        ),
        check=checks.is_bank_card,
    ),
    "phone_numbers": PersonalDataKind(
        "<phone>",
        _compiled(
            r"(?<![\dA-Za-z.+])(?:\+?86[ -]?)?1[3-9]\d([ -]?)\d{4}\1\d{4}(?![\dA-Za-z]|\.\d)",
            r"(?<![\dA-Za-z.-])(?:0\d{2,3}-|\(0\d{2,3}\) ?)[2-9]\d{6,7}(?![\dA-Za-z-])",
        ),
    ),
    "international numbers": PersonalDataKind(
        "<phone>",
        _compiled(
            r"(?<![\dA-Za-z.+])\+[1-9]\d{0,2}(?:[ -]?\(\d{1,4}\))?(?:[ -]?\d{2,4}){2,5}"
            r"(?![\dA-Za-z])"
        ),
        check=checks.is_international_number,
    ),
    "ip_addresses": PersonalDataKind(
        "<ip>",
        _compiled(
            rf"(?<![\dA-Za-z.-]){_BYTE}(?:\.{_BYTE}){{3}}(?![\dA-Za-z]|\.\d|-[\dA-Za-z])",
            r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}){1,6}(?![0-9A-Za-z:])",
        ),
        check=checks.is_address,
    ),
    "plates": PersonalDataKind(
        "<plate>",
        _compiled(rf"[{_PROVINCES}][A-HJ-NP-Z][·•. -]?[A-HJ-NP-Z0-9]{{5,6}}(?![A-Za-z0-9])"),
        check=checks.has_digit,
    ),
    "passports": PersonalDataKind(
        "<passport>",
        _compiled(r"(?<![A-Za-z0-9])[A-Z]{1,2}\d{7,8}(?![A-Za-z0-9])"),
        check=checks.follows_passport,
    ),
    "titled_names": PersonalDataKind(
        "<name>",
        _compiled(
            rf"(?:(?<![{_HAN}])|(?<=[{_BEFORE_NAMES}]))"
            rf"([{_SURNAMES}][{_HAN}]{{1,2}}?)(?={_TITLES})",
            r"\b(?:Mr|Mrs|Ms|Dr|Prof)\.? ([A-Z][a-z]{1,20}(?: [A-Z][a-z]{1,20})?)",
        ),
        1,
    ),
}
"""The kinds, in the order that they are looked for: a masked place is not looked at again."""

ACTIONS = {"assigned keys": "keys", "international numbers": "phone_numbers"}
"""Kinds that share the action of another one."""
