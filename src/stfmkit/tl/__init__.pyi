from ._coexpression import coexpression as coexpression
from ._embed import embed as embed
from ._evaluate_embedding import evaluate_embedding as evaluate_embedding
from ._evaluate_expression import evaluate_expression as evaluate_expression
from ._niche_signatures import niche_signatures as niche_signatures
from ._niches import niches as niches
from ._predict_expression import predict_expression as predict_expression
