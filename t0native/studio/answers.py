"""What a model answers to a prompt right now: rank classification of its choices, or a short generation where it has none."""

import threading
import time

__all__ = ["Answers"]

MAX_CHOICES, MAX_NEW_TOKENS, PATIENCE = 20, 16, 30.0


class Answers:
    """model: path of a checkpoint, loaded at once.  add_eos_to_inputs: None for the model's own. One question at a time."""

    def __init__(self, model, add_eos_to_inputs=None):
        from t0native.models.model import Model  # here: most studios have none, and need not load it

        self.name, self._lock = str(model), threading.Lock()
        self._model = Model.from_pretrained(model, add_eos_to_inputs=add_eos_to_inputs)
        self.tokenizer = self._model.tokenizer

    def ask(self, rows, seconds=None):
        """rows: of a preview. A list of one dict or None a row: answer, right (whether it is the target), choices [(choice, score)].
        It is shorter than rows where `seconds` are over. None where too many ask."""
        if not self._lock.acquire(timeout=PATIENCE):
            return None
        try:
            answers, until = [], None if seconds is None else time.monotonic() + seconds
            for row in rows:
                if until is not None and time.monotonic() > until:
                    break
                answers.append(self._answer(row))
            return answers
        finally:
            self._lock.release()

    def _answer(self, row):
        if "error" in row or row["dropped"]:
            return None
        choices = row["choices"]
        if not choices or len(choices) > MAX_CHOICES:
            answer = self._model.generate(row["input_text"], max_new_tokens=MAX_NEW_TOKENS, truncate=True)
            answer = answer[0] if isinstance(answer, list) else answer  # the best of several, where the model's file asks for them
            return {"answer": str(answer), "right": str(answer).strip() == row["target_text"], "choices": []}
        ranking = self._model.rank(row["input_text"], choices, truncate=True)
        return {
            "answer": ranking.choice,
            "right": ranking.choice == row["target_text"],
            "choices": list(zip(choices, map(float, ranking.scores))),
        }
