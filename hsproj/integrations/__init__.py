"""hsproj inside other libraries, a module each, imported on demand: `lightgbm`, `xgboost`, `sklearn`, `torch`, `jax`."""
