from ._check_method import check_method as check_method
from ._check_model import check_model as check_model
from ._check_task import check_task as check_task
from ._example_block import example_block as example_block
