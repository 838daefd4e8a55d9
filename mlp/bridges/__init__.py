"""Ways to and from other libraries: estimators for scikit-learn, weights for PyTorch, models in ONNX.

    from mlp.bridges.estimators import MLPClassifier, MLPRegressor    # needs scikit-learn
    from mlp.bridges.pytorch import to_state_dict, load_state_dict    # NumPy alone
    from mlp.bridges.onnx_export import export_onnx                   # needs onnx

Each is imported by its own name, so that nobody waits for a library of which nothing is wanted.
"""
