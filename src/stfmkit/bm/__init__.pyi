from ._audit import Finding as Finding
from ._audit import audit as audit
from ._list_tasks import list_tasks as list_tasks
from ._protocol import Protocol as Protocol
from ._results import Results as Results
from ._run import run as run
