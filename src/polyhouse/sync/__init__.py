"""The sync engine: the page loop, the commit protocol and the runs built from them.

One page travels: fetched → rows in the warehouse → its manifest row → checkpoint. The order never changes, so that a
checkpoint always implies data; everything before the checkpoint may happen twice and is made one by natural keys.
"""
