"""Tell systemd that the daemon is ready, alive and why; outside systemd all of it does nothing.

The protocol is one datagram of VAR=value lines to the socket in $NOTIFY_SOCKET (sd_notify(3), which promises to keep
it stable). It is spoken here because the package for it, sdnotify 0.3.2, is of 2017 and hides a lost notification.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

STUCK_S = 120.0  # longer than any step of any task, a prediction on a small computer included
STATUS_S = 10.0  # how often `systemctl status` gets a new line


def notify(*assignments: str) -> bool:
    """Send assignments such as READY=1 in one datagram; return whether systemd got them.

    STOPPING=1 and STATUS=... are the others in use. A notification that fails, for want of file descriptors even, is
    logged and never ends the daemon: packets matter more.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False  # not under systemd, or a virtual machine's vsock, which only its init uses
    # An address with @ is in the abstract namespace, which the kernel marks with a NUL.
    target = "\0" + address[1:] if address.startswith("@") else address
    datagram = "\n".join(one.replace("\n", " ") for one in assignments).encode(errors="replace")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)  # a full queue must not hold us
            sender.sendto(datagram, target)
    except OSError as error:
        log.warning("systemd cannot be notified at %s: %s", address, error.strerror or error)
        return False
    return True


def watchdog_s() -> float | None:
    """Return the seconds after which systemd restarts a silent daemon; None where it does not watch this process."""
    period, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not period.isdecimal() or int(period) == 0 or (pid is not None and pid != str(os.getpid())):
        return None
    return int(period) / 1e6


def stuck(idle_s: Mapping[str, float], limit_s: float) -> list[str]:
    """Return the tasks that made no progress for longer than the limit, each with how long; worst first."""
    late = sorted(((seconds, task) for task, seconds in idle_s.items() if seconds > limit_s), reverse=True)
    return [f"{task} for {seconds:.0f} s" for seconds, task in late]


async def watch(
    idle_s: Callable[[], Mapping[str, float]], status: Callable[[], str], *, stuck_s: float = STUCK_S
) -> None:
    """Report status and life until cancelled; life only while every task makes progress.

    `idle_s` returns the seconds since each task last did. When one is stuck the watchdog is not fed, and systemd
    restarts the daemon: the broker has kept what was not acknowledged. Returns at once outside systemd.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return
    period_s = watchdog_s()
    # A third of the watchdog's period: one notification may be late and one lost.
    every_s = min(STATUS_S, period_s / 3) if period_s else STATUS_S
    reported: list[str] = []
    while True:
        late = stuck(idle_s(), stuck_s)
        if late:
            notify(f"STATUS=stuck: {', '.join(late)}")
            if not reported:
                log.error("stuck: %s; systemd restarts the daemon unless that ends", ", ".join(late))
        elif period_s:
            notify(f"STATUS={status()}", "WATCHDOG=1")
        else:
            notify(f"STATUS={status()}")
        reported = late
        await asyncio.sleep(every_s)
