"""How hsproj says no: which argument, which rule, what came, where."""


def refuse(kind: type[Exception], argument: str, rule: str, got: object, where: str = "") -> Exception:
    """The exception to raise: "`k` must satisfy 0 <= k <= n; got k=7 with n=5 (x.shape=(5,), axis=-1)."."""
    return kind(f"`{argument}` must {rule}; got {got}{f' ({where})' if where else ''}.")
