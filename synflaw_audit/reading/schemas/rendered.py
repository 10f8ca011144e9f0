"""Chats that a chat template has rendered into one text, taken apart again.

A format is told by how a text begins: with the mark of a turn, perhaps after a token that begins
every text or a preamble. A text that merely quotes such marks begins otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from synflaw_audit.reading.schemas.exchange import Path, Segment
from synflaw_audit.reading.schemas.messages import Message, message_of_text
from synflaw_audit.reading.schemas.vocabulary import Role, Vocabulary, folded

# What marks call the roles beside what messages call them.
_ROLES: Mapping[str, Role] = {
    **dict.fromkeys(("[inst]", "<</sys>>", "q", "question", "input", "instruct", "h"), "user"),
    **dict.fromkeys(("用户", "问", "人类", "instruction"), "user"),
    **dict.fromkeys(("[/inst]", "a", "answer", "response", "output", "助手", "答"), "assistant"),
    **dict.fromkeys(("<<sys>>", "[system_prompt]", "系统"), "system"),
    **dict.fromkeys(("[/system_prompt]", "[available_tools]", "[/available_tools]"), "context"),
    **dict.fromkeys(("[tool_calls]", "[tool_results]", "[/tool_results]"), "context"),
}
_MARKED = {folded(name): role for name, role in _ROLES.items()}
_WORDS = Vocabulary()
# Tokens that begin or end a whole text, whatever the format.
_TOKENS = r"(?:<s>|</s>|<bos>|<eos>|<pad>|<\|begin_of_text\|>|<\|endoftext\|>|<\|end_of_text\|>)"
_LONGEST_PREAMBLE = 2000


@dataclass(frozen=True)
class ChatFormat:
    """How a chat template marks the turns.

    Attributes:
        name: What it is called.
        header: The mark that begins a turn, with the groups ``role`` and perhaps ``channel``.
        ends: The mark that ends one, if there is any.
        preamble: Whether an instruction may stand before the first mark.
    """

    name: str
    header: re.Pattern[str]
    ends: re.Pattern[str] = field(default=re.compile(_TOKENS))
    preamble: bool = False

    def begins(self, text: str) -> bool:
        """Whether a text begins as chats in this format do, and somebody answers in it."""
        first = self.header.search(text, 0, _LONGEST_PREAMBLE)
        if first is None or _role(first) not in ("system", "user"):
            return False
        before = text[: first.start()]
        if not self.preamble and not _BLANK.fullmatch(before):
            return False
        return any(_role(found) == "assistant" for found in self.header.finditer(text, first.end()))

    def messages(self, text: str, path: Path) -> list[Message]:
        """The messages of a text that begins so.

        Args:
            text: The chat.
            path: Where in its row it stands.
        """
        found = list(self._turns(text, path))
        if found and found[-1].role == "assistant" and not found[-1].text:
            found.pop()  # the mark that asks for an answer
        return found

    def _turns(self, text: str, path: Path) -> Iterator[Message]:
        marks = list(self.header.finditer(text))
        ends = [mark.start() for mark in marks[1:]] + [len(text)]
        if marks and (before := _BLANK.sub("", text[: marks[0].start()]).strip()):
            yield Message("system", before)
        for mark, limit in zip(marks, ends, strict=True):
            role = _role(mark) or "context"
            over = self.ends.search(text, mark.end(), limit)
            start, end = _stripped(text, mark.end(), over.start() if over else limit)
            if start == end and role != "assistant":
                continue
            yield message_of_text(role, text[start:end], (Segment(path, start, end, 0),))


def _role(mark: re.Match[str]) -> Role | None:
    if "channel" in mark.groupdict() and mark["channel"] not in (None, "final"):
        return "reasoning" if mark["channel"] == "analysis" else "context"
    return _MARKED.get(folded(mark["role"])) or _WORDS.role(mark["role"])


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """A stretch of text without the blanks around it."""
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip())
    return (start + left, end - (len(inner) - len(inner.rstrip()))) if inner.strip() else (end, end)


_BLANK = re.compile(rf"(?:\s|{_TOKENS}|<\uff5cbegin▁of▁sentence\uff5c>|\[gMASK\]|<sop>)*")
_ANY_ROLE = r"(?P<role>[A-Za-z_]+)"


def _ends(*marks: str) -> re.Pattern[str]:
    return re.compile("|".join((*marks, _TOKENS)))


FORMATS: tuple[ChatFormat, ...] = (
    ChatFormat(
        "ChatML",
        re.compile(rf"<\|im_start\|>[ ]*{_ANY_ROLE}[^\n]*(?:\n|(?=<\|im_end\|>)|\Z)"),
        _ends(r"<\|im_end\|>"),
    ),
    ChatFormat(
        "Llama 3",
        re.compile(rf"<\|start_header_id\|>\s*{_ANY_ROLE}\s*<\|end_header_id\|>"),
        _ends(r"<\|eot_id\|>", r"<\|eom_id\|>"),
    ),
    ChatFormat(
        "Llama 4",
        re.compile(rf"<\|header_start\|>\s*{_ANY_ROLE}\s*<\|header_end\|>"),
        _ends(r"<\|eot\|>", r"<\|eom\|>"),
    ),
    ChatFormat(
        "Llama 2",
        re.compile(
            r"(?P<role>\[/?INST\]|<</?SYS>>|\[/?SYSTEM_PROMPT\]|\[/?AVAILABLE_TOOLS\]"
            r"|\[TOOL_CALLS\]|\[/?TOOL_RESULTS\])"
        ),
    ),
    ChatFormat(
        "Gemma",
        re.compile(rf"<start_of_turn>\s*{_ANY_ROLE}(?:\n|\Z)"),
        _ends(r"<end_of_turn>"),
    ),
    ChatFormat(
        "Harmony",
        re.compile(
            rf"<\|start\|>{_ANY_ROLE}[^<\n]*(?:<\|channel\|>(?P<channel>\w+)[^<\n]*)?"
            r"(?:<\|constrain\|>[^<\n]*)?<\|message\|>"
        ),
        _ends(r"<\|end\|>", r"<\|return\|>", r"<\|call\|>"),
    ),
    ChatFormat(
        "Granite",
        re.compile(rf"<\|start_of_role\|>{_ANY_ROLE}[^<\n]*<\|end_of_role\|>"),
    ),
    ChatFormat(
        "Command R",
        re.compile(r"<\|START_OF_TURN_TOKEN\|><\|(?P<role>USER|CHATBOT|SYSTEM)_TOKEN\|>"),
        _ends(r"<\|END_OF_TURN_TOKEN\|>"),
    ),
    ChatFormat(
        "DeepSeek",
        re.compile(r"<\uff5c(?P<role>User|Assistant)\uff5c>"),
        _ends(r"<\uff5cend▁of▁sentence\uff5c>"),
        preamble=True,
    ),
    ChatFormat(
        "Zephyr",
        re.compile(
            r"<\|(?P<role>system|user|assistant|prompter|human|bot|model|observation)\|>:?",
            re.IGNORECASE,
        ),
        _ends(r"<\|end\|>", "<eoh>", "<eoa>"),
    ),
    ChatFormat(
        "Baize", re.compile(r"\[\|(?P<role>Human|AI|User|Assistant|System)\|\]"), preamble=True
    ),
    ChatFormat("Nemotron", re.compile(r"<extra_id_[01]>(?P<role>System|User|Assistant)\b[^\n]*\n")),
    ChatFormat(
        "Guanaco",
        re.compile(r"###\s*(?P<role>Human|User|Assistant|System)\s*[:\uff1a]", re.IGNORECASE),
        preamble=True,
    ),
    ChatFormat(
        "Alpaca",
        re.compile(
            r"^#{2,3}[ ]*(?P<role>Instruction|Input|Question|Context|System|User|Human|Response"
            r"|Output|Answer|Assistant)[ ]*(?:[:\uff1a]|(?=\n))",
            re.IGNORECASE | re.MULTILINE,
        ),
        preamble=True,
    ),
    ChatFormat(
        "Vicuna",
        re.compile(r"(?:^|(?<=\s)|(?<=</s>))(?P<role>USER|ASSISTANT|SYSTEM):(?=\s)"),
        preamble=True,
    ),
    ChatFormat(
        "tagged",
        re.compile(r"<(?P<role>human|bot|user|assistant|system)>:?", re.IGNORECASE),
        _ends(r"</(?:human|bot|user|assistant|system)>"),
    ),
    ChatFormat(
        "Human/Assistant",
        re.compile(
            r"^(?:\*\*)?(?P<role>Human|User|H|Question|Q|Instruct|Instruction|System|Assistant|AI"
            r"|Bot|Answer|A|Output|Response|用户|问|人类|助手|答|系统)(?:\*\*)?"
            r"[ ]*[:\uff1a](?:\*\*)?",
            re.MULTILINE,
        ),
    ),
)


def format_of(text: str) -> ChatFormat | None:
    """The format that a text begins as; None if it is no rendered chat."""
    if not any(mark in text for mark in ("<", "[", "#", ":", "\uff1a")):
        return None
    return next((form for form in FORMATS if form.begins(text)), None)


def parsed(text: str, path: Path) -> list[Message] | None:
    """The messages of a rendered chat that stands at a path; None if it is none."""
    form = format_of(text)
    return None if form is None else form.messages(text, path)
