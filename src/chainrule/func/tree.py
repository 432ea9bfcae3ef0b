"""Pytrees: values in nested containers, taken apart into leaves and a structure, and put together again.

Containers are tuple, list, dict, OrderedDict, defaultdict, deque, named tuples, dataclasses that hold tensors, and
what :func:`register_pytree_node` adds.  Everything else is a leaf, None too.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from ..dtypes import Size
from ..node import Box

__all__ = [
    "TreeSpec", "register_dataclass", "register_pytree_node", "spread", "tree_all", "tree_any", "tree_flatten",
    "tree_iter", "tree_leaves", "tree_map", "tree_map_", "tree_map_only", "tree_structure", "tree_unflatten",
    "treespec_pprint",
]  # fmt: skip

IsLeaf = Callable[[Any], bool] | None


class Kind(NamedTuple):
    """How a kind of container comes apart, ``(children, context)``, and is put together from these."""

    flatten: Callable[[Any], tuple[Any, Any]]
    unflatten: Callable[[Any, Any], Any]
    label: type | None = None  # as what it is shown, if not as its own class


def _mapping(make: Callable[[Any, Any], Any]) -> Kind:
    return Kind(lambda d: (list(d.values()), list(d)), make)


_kinds: dict[type, Kind] = {
    tuple: Kind(lambda t: (t, None), lambda kids, _: tuple(kids)),
    list: Kind(lambda t: (t, None), lambda kids, _: list(kids)),
    dict: _mapping(lambda kids, keys: dict(zip(keys, kids, strict=True))),
    OrderedDict: _mapping(lambda kids, keys: OrderedDict(zip(keys, kids, strict=True))),
    defaultdict: Kind(
        lambda d: (list(d.values()), [d.default_factory, list(d)]),
        lambda kids, context: defaultdict(context[0], zip(context[1], kids, strict=True)),
    ),
    deque: Kind(lambda d: (d, d.maxlen), lambda kids, maxlen: deque(kids, maxlen)),
    Size: Kind(lambda t: (t, None), lambda kids, _: Size(kids)),
}
_KEYED = (dict, OrderedDict, defaultdict)


class namedtuple(tuple):  # type: ignore[type-arg]
    """The kind of all named tuples."""


@cache
def _by_fields(cls: type) -> Kind | None:
    """The kind of a class that was not registered: a named tuple, a dataclass, or None for a leaf."""
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return Kind(lambda t: (t, cls), lambda kids, _: cls(*kids), namedtuple)
    if dataclasses.is_dataclass(cls):
        names = [f.name for f in dataclasses.fields(cls)]

        def make(kids: Any, _: Any) -> Any:
            new = object.__new__(cls)  # the fields are already what __init__ made of them
            for name, kid in zip(names, kids, strict=True):
                object.__setattr__(new, name, kid)
            return new

        return Kind(lambda d: ([getattr(d, name) for name in names], names), make)
    return None


class TreeSpec:
    """The structure of a pytree: what is left when the leaves are taken out."""

    __slots__ = ("children_specs", "context", "kind", "num_leaves", "type")

    def __init__(self, type: Any, context: Any, children_specs: list[TreeSpec], kind: Kind) -> None:
        self.type, self.context, self.children_specs, self.kind = type, context, children_specs, kind
        self.num_leaves = 0
        for child in children_specs:
            self.num_leaves += child.num_leaves

    @property
    def num_children(self) -> int:
        return len(self.children_specs)

    @property
    def num_nodes(self) -> int:
        return 1 + sum(child.num_nodes for child in self.children_specs)

    def children(self) -> list[TreeSpec]:
        return list(self.children_specs)

    def is_leaf(self) -> bool:
        return self is LEAF

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with these leaves."""
        leaves = leaves if isinstance(leaves, (list, tuple)) else list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
                f"holds {self.num_leaves} items ({self})."
            )
        return _build(self, iter(leaves))

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The parts of ``tree`` that stand where this structure has leaves; ValueError if it differs above them."""
        found: list[Any] = []
        _match(self, tree, found)
        return found

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, TreeSpec)
            and self.type is other.type
            and self.num_leaves == other.num_leaves
            and bool(self.context == other.context)
            and self.children_specs == other.children_specs
        )

    def __hash__(self) -> int:
        return hash((self.type, self.num_leaves, len(self.children_specs)))

    def __repr__(self) -> str:
        return self._text(0)

    def _text(self, indent: int) -> str:
        if self is LEAF:
            return "*"
        gap = ",\n" + " " * (indent + 2)
        inner = gap.join([child._text(indent + 2) for child in self.children_specs])
        return f"TreeSpec({(self.kind.label or self.type).__name__}, {self.context}, [{inner}])"


LEAF = TreeSpec(None, None, [], Kind(lambda leaf: ((), None), lambda kids, _: None))
LEAF.num_leaves = 1


def _kind(tree: Any) -> Kind | None:
    cls = type(tree)
    found = _kinds.get(cls)
    if found is None and not isinstance(tree, (Box, int, float, str)):
        found = _by_fields(cls)  # type: ignore[arg-type]
        if found is not None and found.label is None and not any(isinstance(x, Box) for x in _fields_of(tree)):
            return None
    return found


def _fields_of(tree: Any) -> Iterable[Any]:
    """The leaves in the fields of a dataclass."""
    for f in dataclasses.fields(tree):
        yield from tree_leaves(getattr(tree, f.name))


def _walk(tree: Any, leaves: list[Any], is_leaf: IsLeaf) -> TreeSpec:
    kind = None if is_leaf is not None and is_leaf(tree) else _kind(tree)
    if kind is None:
        leaves.append(tree)
        return LEAF
    children, context = kind.flatten(tree)
    return TreeSpec(type(tree), context, [_walk(child, leaves, is_leaf) for child in children], kind)


def _build(spec: TreeSpec, leaves: Any) -> Any:
    if spec is LEAF:
        return next(leaves)
    return spec.kind.unflatten([_build(child, leaves) for child in spec.children_specs], spec.context)


def _match(spec: TreeSpec, tree: Any, found: list[Any]) -> None:
    if spec is LEAF:
        found.append(tree)
        return
    cls = type(tree)
    if cls is not spec.type and not (cls in _KEYED and spec.type in _KEYED):
        raise ValueError(f"Node type mismatch; expected {spec.type!r}, but got {cls!r}.")
    children, context = spec.kind.flatten(tree) if cls is spec.type else _kinds[cls].flatten(tree)
    if len(children) != spec.num_children:
        raise ValueError(f"Node arity mismatch; expected {spec.num_children}, but got {len(children)}.")
    if cls in _KEYED:
        keys = spec.context[1] if spec.type is defaultdict else spec.context
        missing, extra = [k for k in keys if k not in tree], [k for k in tree if k not in keys]
        if missing or extra:
            raise ValueError(
                f"Node keys mismatch; missing key(s): {{{str(missing)[1:-1]}}}; extra key(s): {{{str(extra)[1:-1]}}}."
            )
        children = [tree[k] for k in keys]
    elif context != spec.context:
        raise ValueError(
            f"Node context mismatch for node type {spec.type!r}; expected {spec.context!r}, but got {context!r}."
        )
    for child, part in zip(spec.children_specs, children, strict=True):
        _match(child, part, found)


# --- PyTorch's names ---


def tree_flatten(tree: Any, is_leaf: IsLeaf = None) -> tuple[list[Any], TreeSpec]:
    """The leaves in order, and the structure.  ``is_leaf(x)`` says at what to stop.

    Source: ``torch.utils._pytree.tree_flatten``.

    >>> leaves, spec = tree_flatten({"a": 1, "b": (2, [3])})
    >>> leaves
    [1, 2, 3]
    >>> tree_unflatten([10, 20, 30], spec)
    {'a': 10, 'b': (20, [30])}
    """
    if isinstance(tree, Box) and is_leaf is None:
        return [tree], LEAF
    leaves: list[Any] = []
    return leaves, _walk(tree, leaves, is_leaf)


def flatten(tree: Any) -> tuple[list[Any], Callable[[Iterable[Any]], Any]]:
    """The leaves in order, and the function that puts other leaves in their places."""
    leaves, spec = tree_flatten(tree)
    return leaves, spec.unflatten


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of a structure with the given leaves; ValueError if their number is not the structure's.

    Source: ``torch.utils._pytree.tree_unflatten``.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"Expected `treespec` to be an instance of PyTreeSpec but got item of type {type(treespec)}.")
    return treespec.unflatten(leaves)


def tree_iter(tree: Any, is_leaf: IsLeaf = None) -> Iterable[Any]:
    """The leaves, one by one.

    Source: ``torch.utils._pytree.tree_iter``.
    """
    return iter(tree_leaves(tree, is_leaf))


def tree_leaves(tree: Any, is_leaf: IsLeaf = None) -> list[Any]:
    """The leaves in order.

    Source: ``torch.utils._pytree.tree_leaves``.
    """
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: IsLeaf = None) -> TreeSpec:
    """The structure without the leaves.

    Source: ``torch.utils._pytree.tree_structure``.
    """
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """``func`` of each leaf, and of what stands at the same place in ``rests``, as a tree of the same structure.

    Source: ``torch.utils._pytree.tree_map``.

    >>> tree_map(lambda x, y: x + y, {"a": 1, "b": [2]}, {"a": 10, "b": [20]})
    {'a': 11, 'b': [22]}
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    return spec.unflatten(list(map(func, leaves, *[spec.flatten_up_to(r) for r in rests])))


def tree_map_(func: Callable[..., Any], tree: Any, *rests: Any, is_leaf: IsLeaf = None) -> Any:
    """Call ``func`` on each leaf for its effect; gives the tree itself.

    Source: ``torch.utils._pytree.tree_map_``.
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    for each in zip(leaves, *[spec.flatten_up_to(r) for r in rests], strict=True):
        func(*each)
    return tree


def tree_map_only(chosen: Any, /, func: Callable[[Any], Any], tree: Any, is_leaf: IsLeaf = None) -> Any:
    """``func`` of the leaves that are ``chosen``, a type, several, or a condition; the others as they are.

    Source: ``torch.utils._pytree.tree_map_only``.
    """
    wanted = chosen if callable(chosen) and not isinstance(chosen, type) else lambda x: isinstance(x, chosen)
    return tree_map(lambda x: func(x) if wanted(x) else x, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether ``pred`` holds for every leaf.

    Source: ``torch.utils._pytree.tree_all``.
    """
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: IsLeaf = None) -> bool:
    """Whether ``pred`` holds for some leaf.

    Source: ``torch.utils._pytree.tree_any``.
    """
    return any(map(pred, tree_leaves(tree, is_leaf)))


def register_pytree_node(
    cls: type, flatten_fn: Callable[[Any], tuple[Any, Any]], unflatten_fn: Callable[[Any, Any], Any], **ignored: Any
) -> None:
    """Make instances of ``cls`` containers: ``flatten_fn(x)`` gives (children, context), from which
    ``unflatten_fn(children, context)`` makes another.  ValueError if the class is known already.

    Source: ``torch.utils._pytree.register_pytree_node``.
    """
    if cls in _kinds:
        raise ValueError(f"{cls} is already registered as pytree node.")
    _kinds[cls] = Kind(flatten_fn, unflatten_fn)


def register_dataclass(
    cls: type, *, field_names: list[str] | None = None, drop_field_names: list[str] | None = None, **ignored: Any
) -> None:
    """Make a class that is built from its fields a container, with or without tensors in it.

    ``field_names`` are the children, unless given all that ``cls`` takes; those of ``drop_field_names`` are left
    out, and get their default value again.

    Source: ``torch.utils._pytree.register_dataclass``.
    """
    if field_names is None:
        if not dataclasses.is_dataclass(cls):
            raise ValueError(
                f"field_names must be specified with a list of all fields used to initialize {cls}, as it is not a "
                "dataclass."
            )
        field_names = [f.name for f in dataclasses.fields(cls) if f.init]
    names = [name for name in field_names if name not in (drop_field_names or ())]
    register_pytree_node(
        cls, lambda x: ([getattr(x, n) for n in names], names),
        lambda kids, names: cls(**dict(zip(names, kids, strict=True))),
    )  # fmt: skip


class _Star:
    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: TreeSpec) -> str:
    """The structure as the tree itself would print, with stars for leaves.

    Source: ``torch.utils._pytree.treespec_pprint``.

    >>> treespec_pprint(tree_structure({"a": 1, "b": (2, [3])}))
    "{'a': *, 'b': (*, [*])}"
    """
    return repr(treespec.unflatten([_Star()] * treespec.num_leaves))


def spread(prefix: Any, spec: TreeSpec) -> list[Any] | None:
    """One value for each leaf of ``spec``, from a tree that agrees with it as far as it goes; None if it does not.

    A leaf of the prefix stands for all that is below it.
    """
    if type(prefix) is not spec.type and _kind(prefix) is None:
        return [prefix] * spec.num_leaves
    if spec is LEAF:
        return None
    try:
        parts = TreeSpec(spec.type, spec.context, [LEAF] * spec.num_children, spec.kind).flatten_up_to(prefix)
    except ValueError:
        return None
    found: list[Any] = []
    for part, child in zip(parts, spec.children_specs, strict=True):
        more = spread(part, child)
        if more is None:
            return None
        found += more
    return found
