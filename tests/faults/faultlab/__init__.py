"""A world of seeded faults around the real code: virtual time, ports that fail, and the truth to compare with."""
