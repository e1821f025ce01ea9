"""From an experiment to its tables: what the command does, in order."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from fairseq_gist.errors import GistError, OptionError
from fairseq_gist.experiments.costs import costs_of
from fairseq_gist.experiments.experiment import Closing, Experiment
from fairseq_gist.experiments.marks import Marks
from fairseq_gist.experiments.processes import Processes
from fairseq_gist.experiments.records import Records
from fairseq_gist.experiments.runner import Runner
from fairseq_gist.experiments.steps import Matrix, Run
from fairseq_gist.experiments.tables import score_command
from fairseq_gist.experiments.templates import combinations
from fairseq_gist.experiments.tuning import tuned
from fairseq_gist.experiments.work import check_work, chosen_runs, find_work
from fairseq_gist.files import read_text, replacing

__all__ = ["Choices", "conduct", "dry_run"]

Say = Callable[[str], None]


class Choices(NamedTuple):
    """How an experiment is gone through."""

    only: Sequence[str] = ()
    """Systems; empty: those that the experiment says."""
    jobs: int = 1
    """Steps at a time."""
    again: bool = False
    """Whether steps that were done otherwise are done once more."""
    keep_going: bool = False
    """Whether a failure leaves the steps alone that don't need what failed."""


def dry_run(experiment: Experiment, how: Choices) -> str:
    """Return the commands that are left to be run, as a shell would have them; write nothing."""
    _check_jobs(how)
    now = tuned(experiment)
    experiment = now.experiment
    matrix = Matrix(experiment)
    marks = _marks(experiment)
    runs = chosen_runs(matrix, how.only)
    work = find_work(matrix, runs, marks, how.again)
    lines = [f"# {experiment.title}", *(f"# {line}" for line in costs_of(matrix, work.steps))]
    for step in work.steps:
        lines += ["", f"== {step}", *map(shlex.join, step.commands)]
    for table in experiment.tables:
        command = score_command(matrix, table, lambda run: run in runs)
        if command:
            lines += ["", f"== {command.title}", shlex.join(command.words)]
    for closing in experiment.closing:
        for title, words, _ in _closing_commands(experiment, closing, is_dry=True):
            lines += ["", f"== {title}", shlex.join(words)]
    if now.undecided:
        lines += ["", f"# then, as the trials above say: {', '.join(now.undecided)}"]
    return "\n".join(lines)


def conduct(experiment: Experiment, how: Choices, say: Say, show: Say) -> None:
    """Do what is left, then write the tables and run the closing commands.

    Args:
        experiment: that is done.
        how: in which way.
        say: told what goes on.
        show: told what came out.

    Raises:
        GistError: when something can't work, or a step fails.
    """
    _check_jobs(how)
    now = tuned(experiment)
    while True:
        for chosen in now.chosen:
            say(f"chosen by trials: {chosen}")
        shown: List[str] = []
        _conduct(now.experiment, how, say, shown.append)
        after = tuned(experiment)
        if after.undecided == now.undecided:  # no table is shown before
            for text in shown:
                show(text)
            return
        now = after


def _conduct(experiment: Experiment, how: Choices, say: Say, show: Say) -> None:
    matrix = Matrix(experiment)
    marks = _marks(experiment)
    runs = chosen_runs(matrix, how.only)
    environment = _environment(experiment)
    work = find_work(matrix, runs, marks, how.again)
    check_work(work, environment["PATH"])
    for closing in experiment.closing:  # what is wrong with them is told now, not hours later
        list(_closing_commands(experiment, closing, is_dry=True))
    say(f"{experiment.title}: {len(runs)} runs, {len(work.steps)} steps to do, {work.done} done")
    for line in costs_of(matrix, work.steps):
        say(line)
    for check in experiment.checks:
        _output_of(experiment.scope.words(check.command), environment, check.says)
    with _alone(experiment.out) as lock, _one_line(experiment.out):
        records = Records(matrix, marks)
        processes = Processes(environment, say, lock)
        runner = Runner(matrix, marks, records, processes, say, how.keep_going)
        runner.do(work, runs, how.jobs)
        _write_tables(matrix, records, environment, show)
        _close(experiment, environment, show)


def _check_jobs(how: Choices) -> None:
    if how.jobs < 1:
        raise OptionError(f"--jobs: expected how many to run at a time, found {how.jobs}")


def _marks(experiment: Experiment) -> Marks:
    # inside an installed package the examples are below the plugin, so they are looked for first
    names = (*experiment.folders, "plugin")
    places = [(experiment.scope.text(f"{{{name}}}"), name.upper()) for name in names]
    return Marks(experiment.out, places)


def _environment(experiment: Experiment) -> Dict[str, str]:
    """Return what commands find around them: what the caller set goes before the experiment."""
    environment = {**experiment.environment, **os.environ}
    beside = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([beside, environment.get("PATH", os.defpath)])
    return environment


@contextmanager
def _alone(out: Path) -> Iterator[IO[str]]:
    """Hold the folder, so that no other process makes the same experiment in it.

    Gives the file by which it is held.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = (out / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise OptionError(
            f"-o {out}: expected a folder to write in, found none ({error.strerror}); name another"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise GistError(
                f"{out} is at work in another process, or commands of one that was killed still "
                "run; --jobs does several steps at a time"
            ) from None
        yield file


@contextmanager
def _one_line(out: Path) -> Iterator[None]:
    """Say of an error of the system where it was, and that nothing is lost."""
    try:
        yield
    except OSError as error:
        raise GistError(
            f"{error.filename or out}: {error.strerror or error}; what is done is kept, and the "
            "same command goes on from there"
        ) from error


def _write_tables(matrix: Matrix, records: Records, environment: Dict[str, str], show: Say) -> None:
    for table in matrix.experiment.tables:
        command = score_command(matrix, table, lambda run: Path(matrix.result_of(run)).is_file())
        if command is None:
            continue
        prefix = matrix.experiment.out / table.name
        text = _output_of(command.words, environment)
        with replacing(prefix.with_name(f"{table.name}.txt")) as temporary:
            temporary.write_text(text, encoding="utf-8")
        markdown = prefix.with_name(f"{table.name}.md")
        remarks = _remarks(records, command.runs)
        if remarks:
            whole = read_text(markdown) + "".join(f"- {r}\n" for r in remarks)
            with replacing(markdown) as temporary:
                temporary.write_text(whole, encoding="utf-8")
        show(f"\n== {command.title}\n{read_text(markdown)}")


def _remarks(records: Records, runs: Sequence[Run]) -> List[str]:
    return [remark for run in runs for remark in records.remarks(run)]


def _close(experiment: Experiment, environment: Dict[str, str], show: Say) -> None:
    for closing in experiment.closing:
        for title, words, log in _closing_commands(experiment, closing):
            text = _output_of(words, environment)
            Path(log).parent.mkdir(parents=True, exist_ok=True)
            Path(log).write_text(text, encoding="utf-8")
            if closing.title:
                show(f"\n== {title}\n{text}")


def _closing_commands(
    experiment: Experiment, closing: Closing, is_dry: bool = False
) -> Iterator[Tuple[str, List[str], str]]:
    for items in combinations(experiment.scope, closing.each):
        scope = experiment.scope.child("closing", items)
        paths = [path for template in closing.files for path in scope.texts(template)]
        files = [path for path in paths if is_dry or Path(path).exists()]
        if files:
            words = scope.child("closing", {}, {"files": shlex.join(files)}).words(closing.command)
            title = scope.text(closing.title) or shlex.join(words[:2])
            yield title, words, scope.text(closing.log)


def _output_of(words: Sequence[str], environment: Dict[str, str], says: str = "") -> str:
    """Run a command; gives what it printed.

    Raises:
        GistError: when it fails, beginning with ``says``, with the end of what it said.
    """
    try:
        done = subprocess.run(
            list(words),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        before = f"{says}: " if says else ""
        raise GistError(f"{before}{words[0]}: {error.strerror}") from error
    if done.returncode:
        said = says or f"{shlex.join(words[:2])} failed"
        raise GistError(f"{said}: {done.stderr.strip()[-500:]}")
    return done.stdout
