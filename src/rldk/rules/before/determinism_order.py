"""DET: code that depends on an order which nothing fixes: of sets, directories, addresses, completion."""

from __future__ import annotations

from rldk.rules.audit import AuditView, code_rule, signal_of
from rldk.rules.determinism_flags import fixes_hashes
from rldk.rules.rule import Signal


@code_rule(
    "DET020",
    "set-order",
    severity="info",
    causes=("the order of a set of texts follows their hashes, which Python changes at each start",),
    fixes=("walk sorted(...) of the set", "set PYTHONHASHSEED in the launcher, before Python starts"),
)
def set_order(a: AuditView) -> Signal | None:
    """Fires where code walks a set in its own order, and what it does depends on that order.

    Why it matters: A set of texts, or of objects that are hashed by their address, has another order in each process.
    Lists of tokens, tasks, layers or players that are made from it change places, and so do the random draws for them.
    How it is computed: A loop, a comprehension, `list`, `tuple`, `join`, `enumerate`, `zip`, `map`, `iter`, `*` or
    `.pop()` over an expression that is a set for sure: a literal, `set(...)`, a set operation, a difference of `keys()`
    or a name that only ever stands for one. Not counted: what is sorted, counted or tested for membership, sets of
    numbers, and loops that do the same in any order.
    When it is wrong: The elements may be numbers or tuples of numbers, whose hashes are fixed; the code does not say
    so. The result may be sorted later, elsewhere.
    Source: the documentation of Python on PYTHONHASHSEED and `object.__hash__`; measured: with the hash seed left free,
    a training whose data order came from a set of texts had another first batch at each start.
    """
    if fixes_hashes(a.env.variable("PYTHONHASHSEED")):
        return signal_of(
            a,
            a.sites("set-order"),
            "walks a set in its own order, which PYTHONHASHSEED fixes here",
            "walk a set in its own order, which PYTHONHASHSEED fixes here",
        )
    return signal_of(a, a.sites("set-order"), "walks a set in its own order", "walk a set in its own order")


@code_rule(
    "DET021",
    "directory-order",
    severity="info",
    causes=("listings of directories come in the order of the file system",),
    fixes=("walk sorted(...) of the listing",),
)
def directory_order(a: AuditView) -> Signal | None:
    """Fires where code lists a directory and uses the names in the order in which they come.

    Why it matters: The order follows the file system and the history of the directory. The same data set has another
    order on another machine, or after it was copied.
    How it is computed: `os.listdir`, `os.scandir`, `os.walk`, `glob.glob`, `glob.iglob`, and `iterdir`, `glob` and
    `rglob` of what is a `pathlib.Path` for sure. Not counted: what is sorted, at once or in place, counted or tested
    for membership, and loops that do the same in any order.
    When it is wrong: The order may not matter, as when one file is searched for or each is deleted.
    Source: the documentation of Python: "The list is in arbitrary order" (`os.listdir`), and of `glob`.
    """
    one, many = "uses the order of a directory listing", "use the order of a directory listing"
    return signal_of(a, a.sites("directory-order"), one, many)


@code_rule(
    "DET022",
    "hash-of-text",
    severity="info",
    causes=("hash() of a text is salted with a number that Python chooses at each start",),
    fixes=("use hashlib.blake2b(text.encode()), which is the same everywhere", "set PYTHONHASHSEED in the launcher"),
)
def hash_of_text(a: AuditView) -> Signal | None:
    """Fires where code calls `hash()` outside of a `__hash__` method.

    Why it matters: A bucket, a split or a seed that is taken from the hash of a text is another one at each start.
    How it is computed: A call of the built-in `hash` with something that is not a number for sure. Not counted: hashes
    that are compared at once.
    When it is wrong: The value may be a number or a tuple of numbers, whose hash is fixed, or the hash may stay within
    one process.
    Source: the documentation of Python on `object.__hash__`: hashes of texts and bytes are salted.
    """
    one, many = "calls hash(), which is salted for texts", "call hash(), which is salted for texts"
    return signal_of(a, a.sites("hash-of-text"), one, many)


@code_rule(
    "DET023",
    "address-order",
    severity="warn",
    causes=("id() is the address of an object, and differs from start to start",),
    fixes=("sort by a field of the objects, such as their name",),
)
def address_order(a: AuditView) -> Signal | None:
    """Fires where code sorts, or takes the smallest or largest, by `id` or `hash`.

    Why it matters: The order is another one at each start, although it looks sorted.
    How it is computed: `sorted`, `min`, `max` or `.sort` with `key=id`, `key=hash`, or a lambda that calls one of them.
    When it is wrong: The order may only serve to group equal objects.
    Source: the documentation of Python on `id`: an identity of the object during its lifetime.
    """
    one, many = "orders objects by their address or hash", "order objects by their address or hash"
    return signal_of(a, a.sites("address-order"), one, many)


@code_rule(
    "DET024",
    "completion-order",
    severity="info",
    causes=("results are taken as they are finished, so that the load of the machine decides their order",),
    fixes=(
        "take the results in the order in which the work was submitted (pool.map, ray.get(list))",
        "give every result the number of its task, and sort by it",
    ),
)
def completion_order(a: AuditView) -> Signal | None:
    """Fires where code takes results in the order in which they are finished.

    Why it matters: Rollouts, rewards or batches come in another order in each run, so that sums, buffers and the next
    random draws differ.
    How it is computed: Calls of `as_completed`, `ray.wait`, `imap_unordered`, or `asyncio.wait` until the first is
    done, whose result is not counted or sorted at once.
    When it is wrong: The code may put each result back into its place.
    Source: the documentation of `concurrent.futures` and Ray; verl turns its asynchronous trainer off for deterministic
    runs (`docs/advance/determinism.md`).
    """
    one, many = "takes results in the order of completion", "take results in the order of completion"
    return signal_of(a, a.sites("completion-order"), one, many)
