"""Guesses that a reader writes down before a notebook shows the answer, and how they are scored afterwards.

To guess first makes one look twice. A guess that is left empty is none, and nothing is scored; so it is inside a study.

This module does *not* know how the answer was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shipworthy.records import Hearing, InputError, Verdict

NOTHING = "nothing"
"""The guess that none of the candidates will be it."""


@dataclass(frozen=True, slots=True)
class Guess:
    """What was guessed, checked before anything is measured.

    Parameters
    ----------
    names : tuple of str
        Empty: no guess. ``("nothing",)``: none of them.
    options : tuple of str
        What could be guessed.
    """

    names: tuple[str, ...]
    options: tuple[str, ...]

    def against(self, answer: Sequence[str]) -> str:
        """The score in a sentence; a guess that was not made is not scored.

        Parameters
        ----------
        answer : sequence of str
            All that is right; empty where nothing is.

        Examples
        --------
        >>> make_guess("guess_ships", ["vote", "stack"], ["vote", "stack", "bag"]).against(["vote"])
        'You guessed vote and stack; the answer is vote. Right: 2 of 3. Guessed but not so: stack.'
        >>> make_guess("guess_ships", ["nothing"], ["vote", "stack"]).against([])
        'You guessed nothing; the answer is nothing. Right: 2 of 2.'
        """
        if not self.names:
            return "No guess was made, so none is scored."
        guessed, right = {n for n in self.names if n != NOTHING}, set(answer)
        hits = sum((o in guessed) == (o in right) for o in self.options)
        text = f"You guessed {_listed(self.names)}; the answer is {_listed([o for o in self.options if o in right])}."
        text += f" Right: {hits} of {len(self.options)}."
        for words, wrong in (("Guessed but not so", guessed - right), ("Missed", right - guessed)):
            if wrong:
                text += f" {words}: {', '.join(o for o in self.options if o in wrong)}."
        return text

    def picked(self, answers: Sequence[str]) -> str:
        """As :meth:`against` for a guess of one name, of which any of several answers is right.

        Examples
        --------
        >>> make_guess("guess_compromise", "vote", ["vote", "stack"]).picked(["stack"])
        'You guessed vote; the answer is stack.'
        """
        if not self.names:
            return "No guess was made, so none is scored."
        guessed = _listed(self.names)
        if (self.names[0] in answers) or (self.names[0] == NOTHING and not answers):
            return f"You guessed {guessed}, and you were right."
        return f"You guessed {guessed}; the answer is {_listed(answers)}."


def _listed(names: Sequence[str]) -> str:
    head, tail = list(names)[:-1], list(names)[-1:]
    return f"{', '.join(head)} and {tail[0]}" if head else tail[0] if tail else NOTHING


def make_guess(parameter: str, guess: str | Sequence[str], options: Sequence[str]) -> Guess:
    """Check a guess: what it names must exist, or it could never be right.

    Parameters
    ----------
    parameter : str
        Name of the notebook's parameter, for the message.
    guess : str or sequence of str
        One name or several; empty for no guess; ``"nothing"`` for none of them.
    options : sequence of str

    Returns
    -------
    Guess

    Raises
    ------
    InputError
        If a name is none of the options, is given twice, or stands beside ``"nothing"``.
    """
    names = tuple(dict.fromkeys([guess] if isinstance(guess, str) else guess)) if guess else ()
    for name in names:
        if name not in options and name != NOTHING:
            raise InputError(f"parameters: {parameter} names {name!r}, which is none of {', '.join(options)} or {NOTHING!r}")
    if NOTHING in names and len(names) > 1:
        raise InputError(f"parameters: {parameter} names {NOTHING!r} beside others; keep one or the other")
    return Guess(names, tuple(options))


def score_ships(guess: Guess, verdicts: Sequence[Verdict]) -> str:
    """How a guess of which ensembles will ship compares with the verdicts; a line for each data set and level.

    Parameters
    ----------
    guess : Guess
        Its options may hold candidates that are not judged, which never ship.
    verdicts : sequence of Verdict

    Returns
    -------
    str
    """
    if not guess.names:
        return guess.against([])
    lines = []
    for dataset, level in dict.fromkeys((v.dataset, v.level) for v in verdicts):
        here = [v for v in verdicts if (v.dataset, v.level) == (dataset, level)]
        judged = tuple(v.candidate for v in here)
        idle = [n for n in guess.names if n not in judged and n != NOTHING]
        said = Guess(guess.names, (*judged, *idle)).against([v.candidate for v in here if v.answer == "ship"])
        lines.append(f"{dataset}{', ' + level if level else ''}: {said}")
    return "\n".join(lines) or "No ensemble was judged, so no guess is scored."


def score_compromise(guess: Guess, hearings: Sequence[Hearing]) -> str:
    """How a guess of the compromise compares with what came of the hearing; a line for each data set and level.

    Parameters
    ----------
    guess : Guess
    hearings : sequence of Hearing

    Returns
    -------
    str
    """
    return _each(guess, hearings, [[h.compromise.candidate] if h.compromise else [] for h in hearings])


def score_furthest(guess: Guess, hearings: Sequence[Hearing], of: str) -> str:
    """How a guess of whose ranking is furthest from somebody's compares with Kendall's tau; a line for each data set and level.

    Parameters
    ----------
    guess : Guess
    hearings : sequence of Hearing
    of : str
        Name of the stakeholder from whom the distance is taken.

    Returns
    -------
    str
    """
    return _each(guess, hearings, [furthest(h, of) for h in hearings])


def furthest(hearing: Hearing, of: str) -> list[str]:
    """Whose ranking has the lowest Kendall's tau with that of a stakeholder; several where they are equal, none if undefined."""
    taus = {a.other if a.one == of else a.one: a.tau for a in hearing.agreements if of in (a.one, a.other)}
    known = {who: tau for who, tau in taus.items() if tau == tau}  # noqa: PLR0124 - nan differs from itself
    lowest = min(known.values(), default=0.0)
    return [who for who, tau in known.items() if tau <= lowest + 1e-12]


def _each(guess: Guess, hearings: Sequence[Hearing], answers: Sequence[Sequence[str]]) -> str:
    if not guess.names:
        return guess.picked([])
    return "\n".join(
        f"{h.dataset}{', ' + h.level if h.level else ''}: {guess.picked(answer)}"
        for h, answer in zip(hearings, answers, strict=True)
    )
