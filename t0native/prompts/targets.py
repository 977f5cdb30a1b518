"""What is wrong with the texts that a prompt made of a row, in words that say how to mend it."""

from t0native.base.showing import shown

__all__ = ["half_a_character", "one_choice_alone", "tell_choices"]

_LABELS = ("label", "labels", "answer", "gold", "target", "class")  # fields that are named where the target is no field's value


def half_a_character(example):
    """Where (input, target, choices) hold half of a surrogate pair, in words; None where they do not.

    >>> half_a_character(("Tea \\ud83d", "good", None))
    "input: lone surrogate U+d83d at index 4; repair the row's text"
    """
    texts = [("input", example[0]), ("target", example[1]), *(("choice", choice) for choice in example[2] or ())]
    for name, text in texts:
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                where = f"lone surrogate U+{ord(text[error.start]):04x} at index {error.start}"
                return f"{name}: {where}; repair the row's text"
    return None


def one_choice_alone(prompt, row, choices):
    """Where a field's text stands in the place of the choices, as one choice alone, in words; None where it does not. In promptsource too
    ||| within a field's text divides nothing, and a list that is written as a text is that text.

    >>> pick = t0.Prompt("pick", "{{ text }} ||| {{ label }}", "{{ options }}")
    >>> one_choice_alone(pick, {"options": "no; yes"}, ["no; yes"]) is None
    True
    >>> one_choice_alone(pick, {"options": "no ||| yes"}, ["no ||| yes"]).partition(";")[0]
    "one choice alone, 'no ||| yes': ||| within a field divides nothing"
    """
    if choices is None or len(choices) != 1 or getattr(prompt, "fixed_choices", None) is not None:
        return None
    choice = choices[0]
    is_list = choice[:1] == "[" and choice[-1:] == "]"
    if "|||" not in choice and not is_list:
        return None
    why = "a list that is written as a text is one" if is_list else "||| within a field divides nothing"
    name = next((name for name, value in row.items() if isinstance(value, str) and value.strip() == choice), "options").replace("-", "_")
    several = f'a list in the row, by {{{{ {name} | join("|||") }}}}, or another sign between the choices, by '
    return f'one choice alone, {shown(choice)}: {why}; {several}{{{{ {name}.split(";") | join("|||") }}}}, gives several'


def tell_choices(prompt, row, target, choices):
    """A target that is not among the choices, in words: both, and the field that it is made of, with its value, its type and the remedy.

    >>> mood = t0.Prompt("mood", "{{ text }} ||| {{ label }}", "bad ||| good")
    >>> tell_choices(mood, {"text": "Tea.", "label": 1}, "1", ["bad", "good"])
    "target '1', choices ['bad', 'good']; label is 1 (int): write answer_choices[label] as the target"
    """
    told = f"target {shown(target)}, choices {shown(choices)}"
    read = [name for name in getattr(prompt, "fields", ()) if name in row]
    made_of = [name for name in read if str(row[name]).strip() == target] or [name for name in read if name.lower() in _LABELS]
    if not made_of:
        return told
    value = row[made_of[0]]
    told += f"; {made_of[0]} is {shown(value)} ({type(value).__name__})"
    if str(value).strip() != target:
        return told
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    number = int(number) if isinstance(number, str) and number.isdecimal() else number
    if isinstance(number, int) and 0 <= number < len(choices):
        what = "" if type(value) is int else f", with {made_of[0]} as a whole number (int)"
        return f"{told}: write answer_choices[{made_of[0]}] as the target{what}"
    return f"{told}: it must be one of the choices, or their place, written as answer_choices[{made_of[0]}]"
