from ._base import Block as Block
from ._base import EmbeddingModel as EmbeddingModel
from ._base import FittedModel as FittedModel
from ._card import ModelCard as ModelCard
from ._list_models import list_models as list_models
from ._load_model import load_model as load_model
from ._model_card import model_card as model_card
from ._register_model import register_model as register_model
