"""A gunicorn worker that answers every connection which the kernel has taken for it before it stops."""

from __future__ import annotations

from facerec_site.refusing import RefusingWorker


class DrainingWorker(RefusingWorker):
    """gunicorn's own stops accepting at SIGTERM but keeps listening until its last request is answered:

    who connects meanwhile waits in the kernel's queue, and is reset at the end. This one takes who is
    in the queue, and closes it at once: whoever comes later is refused, and a balancer can ask another.
    """

    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        for listener in self.sockets:
            waiting = -1
            while waiting != self.nr_conns:
                waiting = self.nr_conns
                self.accept(listener)
            listener.close()
