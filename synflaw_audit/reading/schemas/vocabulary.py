"""The names that corpora give to roles, to the keys of messages and to columns.

They are compared without case, hyphens, underscores and spaces: "Tool-Call", "toolCall" and
"tool_call" are one name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal, TypeAlias, get_args

# What a message is to the model that learns: what it is asked, what it shall answer, the
# instruction before it all, what it thinks, or none of these, such as what a tool returns.
Role: TypeAlias = Literal["system", "user", "assistant", "reasoning", "context"]
ROLES: tuple[Role, ...] = get_args(Role)

# What each role is called.
_KNOWN: Mapping[Role, str] = {
    "system": "system developer sys system_prompt systemmessage system_message instructions",
    "user": (
        "user human prompter usr customer client person questioner asker seeker student patient "
        "humanmessage human_message user_message inquirer interviewer instruction"
    ),
    "assistant": (
        "assistant gpt model bot chatgpt bard claude ai agent chatbot llm gemini gpt4 gpt_4 gpt3 "
        "gpt_3.5 helper answerer aimessage aimessagechunk ai_message assistant_message doctor "
        "tutor teacher expert counselor therapist support output response"
    ),
    "reasoning": "thought thoughts thinking think reasoning reflection analysis",
    "context": (
        "tool tools function ipython function_call function_calls tool_call tool_calls tool_use "
        "observation observations tool_response tool_responses tool_result tool_results "
        "tool_output function_response function_result function_output function_call_output "
        "environment env toolmessage tool_message functionmessage api interpreter execution "
        "code_interpreter search retrieval document documents knowledge rag metadata"
    ),
}

# Where a message says who speaks, and what; the first key that says so counts.
ROLE_KEYS = ("role", "from", "type", "speaker", "author", "sender", "participant", "who")
CONTENT_KEYS = (
    *("content", "value", "text", "message", "utterance", "parts", "body", "data"),
    *("sentence", "turn"),
)
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking", "thought", "thoughts")

# Names of columns. Those in a later group count only where none of the groups before is there:
# "user" may be a name, "input" a context.
QUESTIONS = (
    ("question", "prompt", "instruction", "query", "problem"),
    (
        *("input", "inputs", "user", "human", "text_input", "input_text", "instructions"),
        *("user_input", "user_query", "user_prompt", "user_message", "user_question"),
    ),
    ("context", "source", "message", "title", "request", "body", "q"),
)
ANSWERS = (
    ("answer", "completion", "response", "output", "solution"),
    (
        *("outputs", "target", "targets", "reply", "assistant", "generation", "text_output"),
        *("output_text", "model_answer", "generated_text", "model_output", "generated_answer"),
        *("model_response", "assistant_response", "gpt_answer", "bot", "gpt", "answer_text"),
        *("answers", "responses", "completions", "generations", "label_text", "llm_answer"),
        *("model_completion", "prediction", "final_answer", "gold_answer", "reference_answer"),
        *("bot_response", "llm_response", "assistant_answer", "assistant_reply", "ai_response"),
    ),
    ("a",),
)
CONVERSATIONS = (
    *("messages", "conversations", "conversation", "contents", "chat", "dialog", "dialogue"),
    *("dialogs", "dialogues", "turns", "chats", "message", "conversation_history"),
)
CONTEXTS = ("input", "context", "inputs")  # what an instruction may come with
SYSTEMS = ("system", "system_prompt", "system_message", "sys_prompt", "system_instruction")
HISTORIES = ("history", "chat_history", "conversation_history")
REASONINGS = (
    *("reasoning_content", "reasoning", "complex_cot", "cot", "chain_of_thought", "thinking"),
    *("rationale", "thought", "thoughts", "thinking_trajectory", "thinking_trajectories"),
    *("reasoning_trace", "deepseek_reasoning", "deepseek_thinking_trajectory", "think"),
)
CHOSEN = (
    *("chosen", "preferred", "accepted", "chosen_response", "response_chosen", "answer_chosen"),
    *("preferred_output", "chosen_answer", "preferred_response", "response_j", "winner_response"),
    *("chosen_messages", "chosen_conversations"),
)
REJECTED = (
    *("rejected", "dispreferred", "non_preferred", "rejected_response", "response_rejected"),
    *("answer_rejected", "non_preferred_output", "rejected_answer", "dispreferred_response"),
    *("response_k", "loser_response", "rejected_messages", "rejected_conversations"),
)
TEXTS = ("text", "content", "formatted", "formatted_text", "full_text", "sample", "document")
# What says of a message whether it is trained on, and of one whether it is not.
TRAINED = (
    *("weight", "train", "training", "trainable", "loss", "loss_mask", "loss_weight"),
    *("loss_scale", "train_on", "train_on_turn"),
)
MASKED = ("mask", "masked", "ignore_loss")
LOSS_MASKS = ("loss_mask", "loss_masks", "weights", "loss_weights")


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """A name as it is compared."""
    return name.strip().rstrip(":").casefold().translate(_JOINTS)


_JOINTS = str.maketrans("", "", "-_ ")


def named(names: Iterable[object], known: Iterable[str]) -> str | None:
    """Which of these fields has one of the known names, those that come first there before others.

    Args:
        names: Of fields, such as the keys of a row. Of a path ("data.answer") the last name counts
            where no field has the name by itself.
        known: The names that are looked for.
    """
    whole: dict[str, str] = {}
    last: dict[str, str] = {}
    for name in names:
        if isinstance(name, str):
            whole.setdefault(folded(name), name)
            if "." in name:
                last.setdefault(folded(name.rpartition(".")[2]), name)
    present = last | whole
    return next((present[key] for name in known if (key := folded(name)) in present), None)


def all_named(names: Iterable[object], groups: Sequence[tuple[str, ...]]) -> list[str]:
    """The fields that have a name of the first of these groups of which any has; see ``named``."""
    listed = [name for name in names if isinstance(name, str)]
    for shown in (listed, [name for name in listed if "." in name]):
        for group in groups:
            known, last = _folded(group), shown is not listed
            if found := [n for n in shown if folded(n.rpartition(".")[2] if last else n) in known]:
                return found
    return []


def is_named(name: str, known: tuple[str, ...]) -> bool:
    """Whether a field has one of the known names."""
    return folded(name) in _folded(known)


@lru_cache(maxsize=64)
def _folded(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(folded, names))


@dataclass(frozen=True)
class Vocabulary:
    """How messages are read: what roles and keys are called.

    Attributes:
        roles: Names of roles that a caller adds, each with what it is.
        role_key: The key under which a message says who speaks, where the caller names it.
        content_key: The key under which it says what, likewise.
    """

    roles: tuple[tuple[str, Role], ...] = ()
    role_key: str | None = None
    content_key: str | None = None

    @cached_property
    def role_keys(self) -> tuple[str, ...]:
        """Where a message says who speaks."""
        return ROLE_KEYS if self.role_key is None else (self.role_key,)

    @cached_property
    def content_keys(self) -> tuple[str, ...]:
        """Where it says what."""
        return CONTENT_KEYS if self.content_key is None else (self.content_key,)

    @cached_property
    def known(self) -> Mapping[str, Role]:
        """Every role by its folded name; what a caller adds goes before what is known."""
        known = ((name, role) for role, names in _KNOWN.items() for name in names.split())
        return {folded(name): role for name, role in (*known, *self.roles)}

    def role(self, name: object) -> Role | None:
        """What a name of a role stands for; None if it is not known, or no name."""
        return self.known.get(folded(name)) if isinstance(name, str) else None
