"""Equations as MathML, which browsers draw themselves: from LaTeX in the guides, from plain text in docstrings."""

from __future__ import annotations

import ast
import html
import re
import textwrap
import unicodedata

COMBINING = "\u0300-\u036f"
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵏᵗᵀ", "0123456789+−nktT", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₜᵢ", "0123456789+−ti", strict=True))
OPERATORS = {"-": "−", "<=": "≤", ">=": "≥", "->": "→", "*": "·"}
HIGH, LOW = "".join(SUPERSCRIPTS), "".join(SUBSCRIPTS)
SMALL = rf"(?![{HIGH}{LOW}])"
LETTER, INDEX = rf"(?:{SMALL}[^\W\d_][{COMBINING}]?)", rf"(?:{SMALL}[^\W_])+"
TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<number>\d[\d_]*(?:\.\d+)?(?:e-?\d+)?)|(?P<word>{LETTER}+)"
    rf"|(?P<sub>_{INDEX}(?:,{INDEX}(?!_))*)|(?P<high>[{HIGH}]+)|(?P<low>[{LOW}]+)|(?P<sign><=|>=|->|\.\.\.|.)"
)
# Words that carry an index: sum_i. Of other words the underscore is part of the name: fan_in.
INDEXED = re.compile("sum|max|min|log|d[A-Za-z]")
FUNCTION, THIN = "log|exp|max|min|tanh|sin|cos", '<mspace width="0.17em"/>'
MARK = re.compile("[=←~≈≤²ᵀ∫√]|<=|Σ_|sqrt|sum_|^ *[+-]")
NO_MATHEMATICS = re.compile(r'^\s*\w+="|import |>>>|--|0x', re.MULTILINE)


def tex(formula: str, block: bool) -> str:
    """LaTeX as MathML. Raises ``ValueError`` for what the converter does not know."""
    from latex2mathml.converter import convert

    try:
        made = convert(formula.strip(), display="block" if block else "inline")
    except Exception as error:
        raise ValueError(f"the formula {formula.strip()!r} cannot be set: {error!r}") from None
    if unknown := re.search(r"\\[a-zA-Z]+", re.sub(r"&[^;]+;", "", made)):
        raise ValueError(f"the formula {formula.strip()!r} has an unknown command {unknown[0]}")
    return _improve(made)


def _improve(made: str) -> str:
    """What browsers want otherwise than the converter gives it: bold letters, and spaces around functions."""
    made = re.sub(r'<m([in]) mathvariant="bold">(\w)</m\1>', lambda found: f"<mn>{_bold(found[2])}</mn>", made)
    made = re.sub(r"<mo>(max|min)</mo>", r"<mi>\1</mi>", made)
    made = re.sub(rf"<mi>({FUNCTION})</mi>(?=<m[isnf])", rf"<mi>\1</mi>{THIN}", made)
    made = re.sub(rf"(</m(?:i|n|sub|sup|row)>)(?=<mi>(?:{FUNCTION})<)", rf"\1{THIN}", made)
    made = re.sub(r"<mo[^>]*>(?:\||&#x0007C;)</mo>", '<mo stretchy="false" lspace="0" rspace="0">|</mo>', made)
    return made.replace("<mo>&#x0002F;</mo>", '<mo lspace="0" rspace="0">/</mo>')


def _bold(sign: str) -> str:
    """The bold letter or digit of Unicode: MathML knows no other bold."""
    begin, first = (0x1D7CE, "0") if sign.isdigit() else (0x1D400, "A") if sign.isupper() else (0x1D41A, "a")
    return chr(begin + ord(sign) - ord(first))


def is_equation(block: str) -> bool:
    """Whether an indented block of a docstring is mathematics: a sign of it on every line, and no Python."""
    lines = block.splitlines()
    if NO_MATHEMATICS.search(block) or not all(map(MARK.search, lines)):
        return False
    try:
        ast.parse(textwrap.dedent(block))
    except SyntaxError:
        return True
    return False


def typeset(block: str) -> str:
    """Lines of plain-text mathematics, sign by sign: letters become italic, indices small, and nothing is moved.

    What stands apart by two spaces or more stays apart.
    """
    lines = []
    for line in textwrap.dedent(block).splitlines():
        lines.append("".join(f'<span class="part">{_math(part)}</span>' for part in _parts(line.replace("``", ""))))
    return '<div class="equations">' + "".join(f'<div class="line">{line}</div>' for line in lines) + "</div>"


def _parts(line: str) -> list[str]:
    """What stands apart by two spaces or more, outside of brackets."""
    parts, begin, depth = [], 0, 0
    for found in re.finditer(r"[(\[]|[)\]]|\s{2,}", line):
        depth += 1 if found[0] in "([" else -1 if found[0] in ")]" else 0
        if not found[0].strip() and depth <= 0:
            parts.append(line[begin : found.start()])
            begin = found.end()
    return [part.strip() for part in [*parts, line[begin:]] if part.strip()]


def _math(text: str) -> str:
    return f"<math><mrow>{_row(text)}</mrow></math>"


def _row(text: str) -> str:
    """The signs of a text one after another."""
    made: list[str] = []
    after_operator, position = True, 0
    while position < len(text):
        token = TOKEN.match(text, position)
        assert token is not None
        kind, sign, position = str(token.lastgroup), token[0], token.end()
        if kind == "space":
            made.append("" if after_operator or _is_operator(text[position:]) else '<mspace width="0.25em"/>')
            continue
        if sign in ("sqrt", "√"):
            inner, position = _argument(text, position)
            made.append(f"<msqrt><mrow>{_row(inner)}</mrow></msqrt>")
        elif kind in ("sub", "low", "high") or sign == "^":
            position = _attach(made, kind, sign, text, position)
        else:
            is_apart = text[token.start() - 1 : token.start()] == " " or text[position : position + 1] == " "
            made.append(_atom(kind, sign, after_operator, is_apart))
        after_operator = kind == "sign" and sign not in ")]}|'…∞∂∇½√"
    return "".join(made)


def _attach(made: list[str], kind: str, sign: str, text: str, position: int) -> int:
    """Put an index or a power onto what stands before it."""
    base = made.pop() if made else "<mrow></mrow>"
    if kind == "sub":
        word = re.sub(r"<[^>]+>", "", base)
        if len(unicodedata.normalize("NFC", word)) > 1 and not INDEXED.fullmatch(word):
            made.append(f"<mi>{word}{html.escape(sign)}</mi>")
        else:
            letters = sign[1:] if len(sign) != 3 else f"{sign[1]}\u2063{sign[2]}"  # ij are two indices
            made.append(f"<msub>{base}<mrow>{_row(letters)}</mrow></msub>")
    elif kind == "low":
        made.append(f"<msub>{base}<mrow>{_row(''.join(SUBSCRIPTS[s] for s in sign))}</mrow></msub>")
    elif kind == "high":
        made.append(f"<msup>{base}<mrow>{_row(''.join(SUPERSCRIPTS[s] for s in sign))}</mrow></msup>")
    else:
        inner, position = _argument(text, position)
        made.append(f"<msup>{base}<mrow>{_row(inner)}</mrow></msup>")
    return position


def _argument(text: str, position: int) -> tuple[str, int]:
    """What a root or a power takes: all in parentheses, or the next sign; and where the text goes on."""
    if text[position : position + 1] == "(":
        depth = 0
        for end in range(position, len(text)):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 0:
                return text[position + 1 : end], end + 1
    token = TOKEN.match(text, position)
    return (token[0], token.end()) if token else ("", position)


def _atom(kind: str, sign: str, after_operator: bool, is_apart: bool) -> str:
    shown = html.escape(OPERATORS.get(sign, sign))
    if kind == "number":
        return f"<mn>{shown}</mn>"
    if kind == "word":
        if re.fullmatch(r"d[A-Za-zα-ω]", sign):
            return f'<mrow><mi mathvariant="normal">d</mi><mi>{shown[1:]}</mi></mrow>'
        italic = ' mathvariant="italic"' if re.fullmatch(f".[{COMBINING}]", sign) else ""
        return f"<mi{italic}>{shown}</mi>"
    if sign in "½∞":
        return f"<mn>{shown}</mn>"
    form = ' form="prefix"' if sign in "+-" and after_operator else ""
    space = "" if is_apart and sign not in "|()[]" else ' lspace="0" rspace="0"'
    return f'<mo stretchy="false" symmetric="false"{form}{space}>{shown}</mo>'


def _is_operator(rest: str) -> bool:
    return rest[:1] in set("+-·*/=←~≈≤<>,;)]}→≠@")
