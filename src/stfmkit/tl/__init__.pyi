from ._embed import embed as embed
