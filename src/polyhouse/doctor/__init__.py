"""``polyhouse doctor``: what is wrong with an installation, and the command that puts it right. Changes nothing."""

from polyhouse.doctor.examine import examine
from polyhouse.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
