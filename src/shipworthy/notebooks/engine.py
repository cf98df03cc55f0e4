"""The papermill engine that keeps our promises: one private kernel a notebook, watched while it works, gone afterwards.

papermill parameterises the notebook and keeps its metadata; nbclient executes cells; this module starts and ends the kernel.
It is imported only when a notebook is executed, because papermill takes over a second to import.

It does *not* know what failed cells mean, nor where results are written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import papermill
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import ERROR_MARKER_TAG

from shipworthy.notebooks.execution import NotebookError
from shipworthy.notebooks.printed import Drain, together

START_LIMIT_S = 120.0
STOP_LIMIT_S = 5.0
MOST_PRINTED = 1_000_000
"""Characters that are kept of what one cell prints by Python to each of stdout and stderr."""
# Socket paths are limited to 104 bytes on macOS and 108 on Linux; ours end in "/s-5".
_LONGEST_FOLDER = 95
_STALE_AFTER_S = 86_400.0
_LAST_WORDS = 4_096
_FOLDER_PREFIX = "shipworthy-kernel-"
_ENGINE = "shipworthy"


@dataclass
class Session:
    """One execution: what it was asked to do, and (``notebook``, ``failure``) what became of it."""

    source: str
    target: str
    cwd: Path
    environment: Mapping[str, str]
    deadline: float
    timeout_s: float
    cancel: threading.Event
    watch: Callable[[], str]
    on_cell: Callable[[int, int], None]
    notebook: Any = None
    failure: NotebookError | None = None


class _StoppedError(Exception):
    """The execution was ended from outside: ``args`` are the name and the message to report."""


def run(node: Any, values: dict[str, Any], session: Session) -> None:
    """Execute with papermill; the executed notebook and any failure are left in the session.

    Parameters
    ----------
    node : NotebookNode
        It is not changed.
    values : dict
        Checked parameters.
    session : Session
    """
    papermill_engines.register(_ENGINE, Engine)
    try:
        # A notebook in memory and no output path: papermill formats paths with the parameters (a brace in one would fail),
        # changes the working directory of the whole process while it reads and writes files, and rewrites its output in place.
        papermill.execute_notebook(
            node,
            None,
            parameters=values,
            engine_name=_ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            session=session,
        )
    except PapermillExecutionError as error:
        # Only the banner that papermill adds is wanted; what failed is known already, except for a cell whose error was
        # tagged as expected: papermill calls that a failure, and so do we.
        if session.failure is None:
            session.failure = _failure(session, error.cell_index, error.ename, error.evalue)


class Engine(NBClientEngine):  # type: ignore[misc]  # papermill publishes no types
    """Hands papermill's managed notebook to :class:`Client`, in an event loop of its own."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, *, session: Session, **_papermill: Any) -> None:
        """Execute the notebook; called by papermill."""
        session.notebook = nb_man.nb
        # papermill puts the whole notebook here when it was given in memory; names, because a report travels.
        nb_man.nb.metadata.papermill.update(input_path=session.source, output_path=session.target)
        folder = _private_folder()
        try:
            with Drain() as drain, asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(Client(nb_man, kernel_name, session, folder, drain).run())
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class Kernel(AsyncKernelManager):
    """A kernel of this interpreter, whatever kernels are registered; over sockets in a private folder where possible."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """How the kernel is started."""
        return KernelSpec(
            argv=[
                sys.executable,
                "-m",
                "ipykernel_launcher",
                "-f",
                "{connection_file}",
                "--HistoryManager.enabled=False",
                # What is printed past Python comes to our drain, and is added to the cell's outputs when the cell has ended.
                "--IPKernelApp.capture_fd_output=False",
            ],
            display_name="Python 3 (ipykernel)",
            language="python",
        )


class Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill publishes no types
    """Executes the cells, and ends the kernel when they are done, fail, take too long or are cancelled."""

    def __init__(self, nb_man: Any, kernel_name: str, session: Session, folder: Path, drain: Drain) -> None:
        quiet = logging.getLogger(f"{__name__}.quiet")
        quiet.propagate = False
        quiet.disabled = True
        manager = Kernel(connection_file=str(folder / "connection.json"), log=quiet)
        if sys.platform != "win32" and len(os.fsencode(folder)) <= _LONGEST_FOLDER:
            manager.transport, manager.ip = "ipc", str(folder / "s")
        # The kernel binds its sockets after we try to connect: try again every 10 ms, not every 100.
        manager.context.reconnect_ivl = 10
        super().__init__(nb_man, km=manager, kernel_name=kernel_name, log=quiet, iopub_timeout=60, timeout=None)
        self.session, self.folder, self.drain, self.last_words = session, folder, drain, ""
        self.in_flight, self.ready = -1, False
        self.printed: Counter[tuple[int, str]] = Counter()

    async def run(self) -> None:
        """Start the kernel, execute every cell, end the kernel. A failure is left in the session."""
        done = False
        try:
            await self._watched(self._work())
            await self._stop_politely()
            done = True
        except CellExecutionError as error:
            self._fail(error.ename, error.evalue)
        except DeadKernelError:
            self._fail("DeadKernelError" if self.ready else "KernelStartError", self._epitaph())
        except CellTimeoutError as error:
            self._fail("CellTimeoutError", str(error).split("\n", 1)[0])
        except _StoppedError as stop:
            self._fail(*stop.args)
        finally:
            self.shutdown_kernel = "immediate"
            if not done and self.km.provisioner is not None:
                _kill_group(self.km.provisioner.pid)
            await self._async_cleanup_kernel()

    async def _work(self) -> None:
        environment = {**self.session.environment, "IPYTHONDIR": str(self.folder / "ipython")}
        try:
            await self.km.start_kernel(cwd=str(self.session.cwd), env=environment, stdout=self.drain.end, stderr=self.drain.end)
        except OSError as error:
            raise _StoppedError("KernelStartError", str(error)) from error
        self.kc = self.km.client()
        self.kc.start_channels(stdin=False, hb=False)
        reply = await self._ready(self.kc)
        self.ready = True
        self.nb.metadata["language_info"] = reply["content"]["language_info"]
        total = sum(cell.cell_type == "code" for cell in self.nb.cells)
        count = 0
        self._hear()  # What the kernel says while it starts belongs to no cell.
        for index, cell in enumerate(self.nb.cells):
            self.in_flight = index
            self.nb_man.cell_start(cell, index)
            try:
                await self.async_execute_cell(cell, index)
            finally:
                self._gather(cell)
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
            if cell.cell_type == "code":
                count += 1
                self.session.on_cell(count, total)
        # A last cell may have ended the kernel after its reply; only a living one answers.
        await self._reply(self.kc.shell_channel, self.kc.kernel_info(), START_LIMIT_S)
        self.set_widgets_metadata()

    def process_message(self, message: dict[str, Any], *arguments: Any, **settings: Any) -> Any:
        """Keep what the kernel says, but of what a cell prints no more than its first."""
        if message["msg_type"] == "stream":
            text, stream = message["content"]["text"], (self.in_flight, message["content"]["name"])
            room, self.printed[stream] = MOST_PRINTED - self.printed[stream], self.printed[stream] + len(text)
            if room <= 0:
                return None
            if len(text) > room:
                message["content"]["text"] = text[:room]
        return super().process_message(message, *arguments, **settings)

    def _gather(self, cell: Any) -> None:
        """Put together what the cell in flight printed, by Python and past it, and say what is not kept."""
        past = self._hear()
        if cell.cell_type != "code":
            return
        said = {"stdout": past, "stderr": ""}
        for name, rest in said.items():
            if (dropped := self.printed[self.in_flight, name] - MOST_PRINTED) > 0:
                said[name] = f"\n[{dropped:,} more characters were printed here, and dropped]\n{rest}"
        # Before the error, if the cell ended in one: that stays the last word.
        at = next((i for i, output in enumerate(cell.outputs) if output.output_type == "error"), len(cell.outputs))
        cell.outputs[at:at] = [type(cell)(output_type="stream", name=n, text=text) for n, text in said.items() if text]
        cell.outputs = together(cell.outputs)

    def _hear(self) -> str:
        """What was printed past Python since the last time; its end is kept, for what a kernel says before it dies."""
        said = self.drain.take()
        self.last_words = said[-_LAST_WORDS:] or self.last_words
        return said

    async def _ready(self, client: Any) -> dict[str, Any]:
        """Wait until the kernel answers *and* its outputs reach us; nbclient's own wait idles for 0.2 s afterwards."""
        until = time.perf_counter() + START_LIMIT_S
        while time.perf_counter() < until:
            asked = client.kernel_info()
            reply = await self._reply(client.shell_channel, asked, 1.0)
            if reply and await self._reply(client.iopub_channel, asked, 0.05):
                return reply
        raise DeadKernelError

    @staticmethod
    async def _reply(channel: Any, asked: str, limit_s: float) -> dict[str, Any] | None:
        """The first message on a channel that answers a request; ``None`` after the limit."""
        until = time.perf_counter() + limit_s
        while (left := until - time.perf_counter()) > 0:
            try:
                message: dict[str, Any] = await channel.get_msg(timeout=left)
            except Empty:
                return None
            if message["parent_header"].get("msg_id") == asked:
                return message
        return None

    async def _watched(self, work: Any) -> None:
        """Await the work, looking ten times a second whether it must end: cancelled, too long, or the kernel is dead."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=0.1))[0]:
                if self.session.cancel.is_set():
                    raise _StoppedError("Cancelled", "the execution was cancelled")
                if why := self.session.watch():
                    raise _StoppedError("Overdue", why)
                if time.perf_counter() > self.session.deadline:
                    raise _StoppedError("Timeout", f"the notebook took longer than its limit of {self.session.timeout_s:g} s")
                if self.km.has_kernel and not await self.km.is_alive():
                    raise DeadKernelError
            task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
                # Ours to look at, or asyncio complains that nobody did.
                task.cancelled() or task.exception()

    async def _stop_politely(self) -> None:
        """Let the kernel run its exit handlers; what is still there after a while is killed by the caller.

        Not by a shutdown request: ipykernel 7 goes on handling it in one thread while another closes the streams that it
        needs, and then waits 10 s for them (4 of 100 kernels on two busy cores).
        """
        process = self.km.provisioner.process
        self.kc.execute("__import__('IPython').get_ipython().ask_exit()", silent=True, store_history=False)
        until = time.perf_counter() + STOP_LIMIT_S
        while process.poll() is None and time.perf_counter() < until:  # noqa: ASYNC110 - a process has no event to await
            await asyncio.sleep(0.005)

    def _epitaph(self) -> str:
        """How the kernel's process ended."""
        process = self.km.provisioner.process if self.km.provisioner else None
        code = process.poll() if process else None
        if code is None:
            return f"the kernel did not answer for {START_LIMIT_S:g} s"
        if code < 0:
            return f"the kernel was killed by {next((s.name for s in signal.Signals if s == -code), f'signal {-code}')}"
        self._hear()
        lines = self.last_words.split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"the kernel ended with exit code {code}" + (f" ({said})" if said else "")

    def _fail(self, ename: str, evalue: str) -> None:
        """Note the failure in the session and on the cell in flight, so that the executed copy shows it."""
        self.session.failure = _failure(self.session, self.in_flight, ename, evalue)
        if self.in_flight < 0:
            return
        cell = self.nb.cells[self.in_flight]
        if cell.cell_type == "code" and not any(output.output_type == "error" for output in cell.get("outputs", [])):
            shown = {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": [f"{ename}: {evalue}"]}
            cell.outputs.append(type(cell)(shown))
        self.nb_man.cell_exception(cell, cell_index=self.in_flight)
        self.nb_man.cell_complete(cell, cell_index=self.in_flight)


def _failure(session: Session, index: int, ename: str, evalue: str) -> NotebookError:
    """Place a failure in the source: ``index`` counts the injected cell, which stands for the parameters cell before it."""
    if index < 0:
        return NotebookError(session.source, 0, "", ename, evalue)
    cells = [cell for cell in session.notebook.cells if ERROR_MARKER_TAG not in cell.metadata.get("tags", [])]
    injected = sum("injected-parameters" in cell.metadata.get("tags", []) for cell in cells[: index + 1])
    first_line = cells[index].source.strip().split("\n", 1)[0]
    return NotebookError(session.source, index + 1 - injected, first_line, ename, evalue)


def _private_folder() -> Path:
    """A folder that only this user may enter, named after this process; those of processes long dead are removed."""
    temporary = Path(tempfile.gettempdir())
    for old in temporary.glob(f"{_FOLDER_PREFIX}*"):
        pid = old.name.removeprefix(_FOLDER_PREFIX).split("-")[0]
        try:
            stale = time.time() - old.stat().st_mtime > _STALE_AFTER_S
        except OSError:
            continue  # Another process removed it first.
        if stale and pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-"))


def _kill_group(pid: int | None) -> None:
    """Kill a kernel with every process that it started. Kernels lead a process group of their own, where there are groups."""
    if pid is None:
        return
    if sys.platform == "win32":
        with contextlib.suppress(psutil.NoSuchProcess):
            kernel = psutil.Process(pid)
            for process in (*kernel.children(recursive=True), kernel):
                process.kill()
    else:
        # Nobody is left to kill: macOS says it with PermissionError.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
