"""Data at the door: from frames of any kind to a Design, and what new data need to follow."""

from ranef.schema.apply import NewDesign, NewTerm
from ranef.schema.ingest import Intake, ingest
from ranef.schema.model import Schema
from ranef.schema.rows import Rows

__all__ = ["Intake", "NewDesign", "NewTerm", "Rows", "Schema", "ingest"]
