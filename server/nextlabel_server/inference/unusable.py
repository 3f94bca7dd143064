"""Why a model cannot be used, said before it is known to whom."""


class Unusable(Exception):
    """The model cannot be used, or not for this; the text says why and what to do.

    The text is for callers too, so it holds no path and nothing that ONNX Runtime said. It does
    not name the model: whoever knows the name puts it in front.
    """
