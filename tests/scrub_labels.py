"""Labelled text for scrubbing: planted personal data of each kind, and strings that look alike.

All of it is made up, by a generator with a fixed seed.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass

HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Label:
    """A text, and the personal data in it."""

    kind: str
    text: str
    value: str
    """What must be gone; empty if nothing may change."""


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(count))


def text_of(rng: random.Random, characters: str, count: int) -> str:
    return "".join(rng.choice(characters) for _ in range(count))


def id_card(rng: random.Random, valid: bool = True) -> str:
    day = f"{rng.randint(1940, 2015)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    body = f"{rng.randint(11, 65)}{digits(rng, 4)}{day}{digits(rng, 3)}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    check = sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11
    return body + "10X98765432"[check if valid else (check + rng.randint(1, 10)) % 11]


def bank_card(rng: random.Random, valid: bool = True) -> str:
    body = rng.choice(["62", "4", "51"]) + digits(rng, 17)
    body = body[: rng.choice([15, 18])]
    total = 0
    for place, digit in enumerate(map(int, reversed(body + "0"))):
        total += digit if place % 2 == 0 else 2 * digit - 9 * (digit > 4)
    check = -total % 10
    number = body + str(check if valid else (check + rng.randint(1, 9)) % 10)
    if rng.random() < 0.5:
        separator = rng.choice(" -")
        number = separator.join(number[i : i + 4] for i in range(0, len(number), 4))
    return number


def email(rng: random.Random) -> str:
    name = text_of(rng, string.ascii_lowercase, rng.randint(3, 9))
    extra = rng.choice(["", f".{text_of(rng, string.ascii_lowercase, 4)}", f"+{digits(rng, 2)}"])
    domain = text_of(rng, string.ascii_lowercase, 6)
    return f"{name}{extra}@{domain}.{rng.choice(['com', 'cn', 'com.cn', 'org', 'edu.tw', 'io'])}"


def phone(rng: random.Random) -> str:
    mobile = f"1{rng.choice('3456789')}{digits(rng, 9)}"
    return rng.choice(
        [
            mobile,
            f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
            f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
            f"+86 {mobile}",
            f"0{rng.choice(['10', '21', '755', '571'])}-{rng.randint(2, 8)}{digits(rng, 7)}",
            f"+1 ({rng.randint(201, 989)}) {digits(rng, 3)}-{digits(rng, 4)}",
            f"+44 20 {digits(rng, 4)} {digits(rng, 4)}",
        ]
    )


def address(rng: random.Random) -> str:
    if rng.random() < 0.25:
        return ":".join(text_of(rng, HEX[1:], 4) for _ in range(8))
    return ".".join(str(rng.randint(1, 254)) for _ in range(4))


def key(rng: random.Random) -> str:
    return rng.choice(
        [
            "AKIA" + text_of(rng, string.ascii_uppercase + string.digits, 16),
            "ghp_" + text_of(rng, ALNUM, 36),
            "sk-" + text_of(rng, ALNUM, 32),
            f"xoxb-{digits(rng, 12)}-{text_of(rng, ALNUM, 20)}",
            f"eyJ{text_of(rng, ALNUM, 20)}.eyJ{text_of(rng, ALNUM, 30)}.{text_of(rng, ALNUM, 40)}",
        ]
    )


def plate(rng: random.Random) -> str:
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    tail = rng.choice(string.digits) + text_of(rng, letters + string.digits, rng.choice([4, 5]))
    return rng.choice("京沪粤苏浙川鄂豫") + rng.choice(letters) + rng.choice(["", "·"]) + tail


def titled_name(rng: random.Random) -> str:
    return rng.choice("王李张刘陈杨赵黄") + rng.choice(["伟", "建国", "晓明", "丽", "志强"])


PLANTED: dict[str, tuple[Callable[[random.Random], str], list[str]]] = {
    "emails": (
        email,
        [
            "联系邮箱{}，欢迎来信",
            "write to {} today",
            "author = '{}'",
            "<{}>",
            "邮箱：{}。",
            "发送到{}",
        ],
    ),
    "phone_numbers": (
        phone,
        ["电话{}", "请拨打 {} 咨询", "call {} now", "手机号：{}，谢谢"],
    ),
    "id_cards": (id_card, ["身份证号{}", "ID: {}", "公民身份号码：{}。", "his number is {}."]),
    "bank_cards": (bank_card, ["卡号 {}", "card {} expires", "账户：{}，户名", "pay to {}"]),
    "ip_addresses": (
        address,
        ["服务器地址{}", "host {} is down", "HOST = '{}'", "来自 {} 的请求"],
    ),
    "keys": (key, ["token: {}", "export KEY={}", "密钥是 {} 请勿泄露", "Authorization: Bearer {}"]),
    "plates": (plate, ["车牌{}的车主", "车牌号：{}。", "the car {} was seen"]),
    "passports": (
        lambda rng: rng.choice("EGD") + digits(rng, 8),
        ["护照号码：{}", "护照 {}", "passport number {}", "Passport No. {}."],
    ),
    "titled_names": (titled_name, ["，{}先生您好", "请问{}女士在吗", "感谢{}老师的指导"]),
}

LOOK_ALIKES: dict[str, list[Callable[[random.Random], str]]] = {
    "emails": [
        lambda rng: f"@{text_of(rng, string.ascii_lowercase, 6)}.setter",
        lambda rng: f"git@{digits(rng, 3)}",
        lambda rng: f"icon@{rng.randint(2, 3)}x.png",
        lambda rng: f"{text_of(rng, string.ascii_lowercase, 5)} @ weights.T",
        lambda rng: f"a @{text_of(rng, string.ascii_lowercase, 7)} 提到了",
    ],
    "phone_numbers": [
        lambda rng: f"订单号 {digits(rng, 14)}",
        lambda rng: f"3.1{rng.randint(3, 9)}{digits(rng, 9)}",
        lambda rng: f"{rng.randint(1, 9)}{digits(rng, 7)} 字节",
        lambda rng: f"2024-{rng.randint(10, 12)}-{rng.randint(10, 28)} 10:20:30",
        lambda rng: f"ISBN 978-7-{digits(rng, 4)}-{digits(rng, 4)}-{rng.randint(0, 9)}",
        lambda rng: f"0x1{rng.randint(3, 9)}{digits(rng, 9)}",
        lambda rng: f"{rng.randint(100, 999)}-{rng.randint(100, 999)}",
    ],
    "id_cards": [
        lambda rng: f"编号 {id_card(rng, valid=False)}",
        lambda rng: f"id={digits(rng, 18)}{digits(rng, 3)}",
        lambda rng: f"{rng.randint(1, 9)}{digits(rng, 16)}",
    ],
    "bank_cards": [
        lambda rng: f"流水号 {bank_card(rng, valid=False)}",
        lambda rng: f"{digits(rng, 4)} {digits(rng, 4)} {digits(rng, 4)}",
        lambda rng: f"1{digits(rng, 15)}",
        lambda rng: f"0.{digits(rng, 16)}",
        lambda rng: text_of(rng, HEX, 32),
    ],
    "ip_addresses": [
        lambda rng: f"version 1.{rng.randint(0, 9)}.{rng.randint(0, 9)}.{digits(rng, 4)}",
        lambda rng: f"numpy=={rng.randint(1, 2)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}.1",
        lambda rng: (
            f"v{rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}"
        ),
        lambda rng: f"第 {rng.randint(1, 9)}.{rng.randint(1, 9)}.{rng.randint(1, 9)} 节",
        lambda rng: f"{rng.randint(256, 999)}.1.2.3",
        lambda rng: f"{rng.randint(10, 23)}:{rng.randint(10, 59)}:{rng.randint(10, 59)}",
        lambda rng: f"std::{text_of(rng, string.ascii_lowercase, 4)}::value",
        lambda rng: "127.0.0.1",
    ],
    "keys": [
        lambda rng: f"api_key = os.environ['{text_of(rng, string.ascii_uppercase, 8)}']",
        lambda rng: "password = get_password_from_keyring()",
        lambda rng: f"sk-{text_of(rng, string.ascii_lowercase, 5)}",
        lambda rng: f"token = '{'x' * 32}'",
        lambda rng: f"commit {text_of(rng, HEX, 40)}",
        lambda rng: f"secret_key: {'change-me-please-' * 2}",
    ],
    "plates": [
        lambda rng: f"京A{rng.randint(1, 9)}",
        lambda rng: f"粤{rng.choice(['剧', '菜'])}{digits(rng, 5)}",
        lambda rng: "苏ABCDEFGHI",
        lambda rng: f"川{text_of(rng, string.ascii_uppercase, 3)}",
    ],
    "passports": [
        lambda rng: f"型号 E{digits(rng, 8)}",
        lambda rng: f"part G{digits(rng, 8)} is out of stock",
        lambda rng: f"护照办理费 {rng.randint(100, 200)} 元",
    ],
    "titled_names": [
        lambda rng: rng.choice(["这位先生很有礼貌", "女士优先", "各位老师好", "老先生说话了"]),
        lambda rng: rng.choice(["Mr. and Mrs.", "Dr. who?", "a doctor said"]),
    ],
}


def labels(per_kind: int = 60) -> list[Label]:
    """Return planted data and look-alikes, `per_kind` of each for each kind."""
    rng = random.Random(20260101)
    made = []
    for kind, (make, contexts) in PLANTED.items():
        for number in range(per_kind):
            value = make(rng)
            made.append(Label(kind, contexts[number % len(contexts)].format(value), value))
    for kind, makers in LOOK_ALIKES.items():
        for number in range(per_kind):
            made.append(Label(kind, makers[number % len(makers)](rng), ""))
    return made
