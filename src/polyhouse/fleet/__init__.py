"""Worker processes: one process owns the stores, the others fetch and decode for it.

The page loop exists once, in the owner (``sync.walk``). A worker only lends it a stream: the owner names a partition
and a position, the worker fetches and decodes the next page and hands it over. So a worker knows no store, and a killed
one loses nothing but the page that was in its hands. Every request of every worker is granted by the owner, so that
all of them share the one budget of their outgoing address.
"""

from polyhouse.fleet.owner import Fleet, FleetStream, lead

__all__ = ["Fleet", "FleetStream", "lead"]
