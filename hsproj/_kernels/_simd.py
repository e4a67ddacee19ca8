"""Vectors of floats for kernels: loads, arithmetic, comparisons and masks, written as if they were scalars.

LLVM turns them into whatever vector instructions the machine has. So a loop over vectors does not depend on what a
compiler makes of a loop over scalars: neither its speed, nor the order of its additions, hence nor the last bits of its
sums. A vector is as long as 64 bytes of the array it comes from: 8 float64 or 16 float32. Its entries as float64 are a
*broad* vector, of as many lanes. The types are those of Numba; outside kernels there are none.
"""

import operator

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, lower_builtin, models, overload, register_model, type_callable

from hsproj._kernels._jit import jit

_INT = ir.IntType(32)


class Vector(types.Type):
    """So many numbers of a dtype: floats, or integers of the same size."""

    def __init__(self, dtype, lanes):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"{dtype}x{lanes}")


class Mask(types.Type):
    """So many truth values."""

    def __init__(self, lanes):
        self.lanes = lanes
        super().__init__(name=f"maskx{lanes}")


def _llvm(kind):
    if isinstance(kind, Mask):
        return ir.VectorType(ir.IntType(1), kind.lanes)
    if isinstance(kind.dtype, types.Integer):
        return ir.VectorType(ir.IntType(kind.dtype.bitwidth), kind.lanes)
    return ir.VectorType(ir.FloatType() if kind.dtype == types.float32 else ir.DoubleType(), kind.lanes)


class _Model(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, _llvm(kind))


register_model(Vector)(_Model)
register_model(Mask)(_Model)


def _native(array):
    """The type of an array's vectors."""
    return Vector(array.dtype, 512 // array.dtype.bitwidth)


def _broad(kind):
    """The type of a vector's entries as float64."""
    return Vector(types.float64, kind.lanes)


def _known(kind, value):
    """What an intrinsic returns for a constant."""
    return lambda context, builder, signature, arguments: context.get_constant(kind, value)


@intrinsic
def lanes(typing, array):
    """The number of entries in a vector of the array."""
    return types.intp(array), _known(types.intp, _native(array).lanes)


@intrinsic
def is_narrow(typing, array):
    """Whether an array, or a vector, holds float32."""
    return types.boolean(array), _known(types.boolean, array.dtype == types.float32)


@intrinsic
def is_broader(typing, vector, other):
    """Whether the entries of a vector are of a larger dtype than those of another."""
    return types.boolean(vector, other), _known(types.boolean, vector.dtype.bitwidth > other.dtype.bitwidth)


def _pointer(context, builder, array, value, index, kind):
    start = context.make_array(array)(context, builder, value).data
    return builder.bitcast(builder.gep(start, [index]), _llvm(kind).as_pointer())


def _fill(builder, value, kind):
    """A number in every lane: an integer as wide as the entries, or a float64, which is rounded to their dtype."""
    value = builder.fptrunc(value, ir.FloatType()) if kind.dtype == types.float32 else value
    undefined = ir.Constant(_llvm(kind), ir.Undefined)
    first = builder.insert_element(undefined, value, _INT(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT, kind.lanes), [0] * kind.lanes))


@intrinsic
def load(typing, array, index):
    """The vector that starts at array[index]."""

    def generate(context, builder, signature, arguments):
        return builder.load(
            _pointer(context, builder, array, *arguments, _native(array)), align=array.dtype.bitwidth // 8
        )

    return _native(array)(array, types.intp), generate


@intrinsic
def store(typing, array, index, vector):
    """Put a vector of the array's dtype where array[index] starts."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, array, *arguments[:2], vector)
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return (types.void(array, types.intp, vector), generate) if vector.dtype == array.dtype else None


EIGHT = 8


def _load(count):
    """An intrinsic: so many entries of an array, from an index on."""

    @intrinsic
    def load(typing, array, index):
        kind = Vector(array.dtype, count)

        def generate(context, builder, signature, arguments):
            return builder.load(_pointer(context, builder, array, *arguments, kind), align=array.dtype.bitwidth // 8)

        return kind(array, types.intp), generate

    return load


load_eight, load_sixteen = _load(EIGHT), _load(2 * EIGHT)


@intrinsic
def sixteen(typing, array, value):
    """Sixteen times a float64, rounded to the dtype of the array."""
    kind = Vector(array.dtype, 2 * EIGHT)

    def generate(context, builder, signature, arguments):
        return _fill(builder, arguments[1], kind)

    return kind(array, types.float64), generate


@intrinsic
def store_eight(typing, array, index, vector):
    """array[index : index + 8] = eight of its dtype."""
    kind = Vector(array.dtype, EIGHT)

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, array, *arguments[:2], kind)
        builder.store(arguments[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return (types.void(array, types.intp, vector), generate) if vector == kind else None


@intrinsic
def narrowed(typing, array, vector):
    """Eight float64 rounded to the dtype of an array."""
    kind = Vector(array.dtype, EIGHT)
    return (
        kind(array, vector),
        lambda context, builder, signature, arguments: (
            arguments[1] if vector == kind else builder.fptrunc(arguments[1], _llvm(kind))
        ),
    )


@intrinsic
def transpose(typing, vectors):
    """Eight vectors of eight: entry j of vector i becomes entry i of vector j. Three rounds of exchanges between pairs."""

    def generate(context, builder, signature, arguments):
        rows = cgutils.unpack_tuple(builder, arguments[0], EIGHT)
        for step in (4, 2, 1):
            low = [i if i & step == 0 else i - step + EIGHT for i in range(EIGHT)]
            high = [i + step if i & step == 0 else i + EIGHT for i in range(EIGHT)]
            picks = [ir.Constant(ir.VectorType(_INT, EIGHT), pick) for pick in (low, high)]
            pairs = [(i, i + step) for i in range(EIGHT) if i & step == 0]
            for i, j in pairs:
                rows[i], rows[j] = (builder.shuffle_vector(rows[i], rows[j], pick) for pick in picks)
        return context.make_tuple(builder, signature.return_type, rows)

    return vectors(vectors), generate


@intrinsic
def like(typing, array, value):
    """A float64 in every lane, or a broad vector, rounded to the dtype of the array."""
    kind = _native(array)

    def generate(context, builder, signature, arguments):
        given = arguments[1]
        if isinstance(value, Vector):
            return given if kind == value else builder.fptrunc(given, _llvm(kind))
        return _fill(builder, given, kind)

    return kind(array, value if isinstance(value, Vector) else types.float64), generate


def rest_like(array, value):
    """What a float64 loses by being rounded to the dtype of the array, in every lane, rounded likewise; of float64 None."""
    raise NotImplementedError("for kernels only")


@overload(rest_like)
def _rest_like(array, value):
    if array.dtype == types.float64:
        return lambda array, value: None
    return lambda array, value: like(array, value - np.float64(np.float32(value)))


@intrinsic
def broad(typing, array, value):
    """A float64 in every lane of a broad vector, or the entries of a vector of the array as float64."""
    kind = _broad(_native(array))

    def generate(context, builder, signature, arguments):
        given = arguments[1]
        if isinstance(value, Vector):
            return given if kind == value else builder.fpext(given, _llvm(kind))
        return _fill(builder, given, kind)

    return kind(array, value if isinstance(value, Vector) else types.float64), generate


@intrinsic
def load_halves(typing, array, index):
    """As `load`, eight entries at a time: they can be converted from where they are in memory."""
    kind, part = _native(array), Vector(array.dtype, EIGHT)

    def generate(context, builder, signature, arguments):
        halves = []
        for i in range(0, kind.lanes, EIGHT):
            pointer = _pointer(
                context, builder, array, arguments[0], builder.add(arguments[1], ir.IntType(64)(i)), part
            )
            halves.append(builder.load(pointer, align=array.dtype.bitwidth // 8))
        if len(halves) == 1:
            return halves[0]
        return builder.shuffle_vector(*halves, ir.Constant(ir.VectorType(_INT, kind.lanes), list(range(kind.lanes))))

    return kind(array, types.intp), generate


@intrinsic
def matching(typing, kind, vector):
    """The entries of a vector in the dtype of another vector of as many."""

    def generate(context, builder, signature, arguments):
        if kind == vector:
            return arguments[1]
        convert = builder.fpext if kind.dtype == types.float64 else builder.fptrunc
        return convert(arguments[1], _llvm(kind))

    return kind(kind, vector), generate


@intrinsic
def widened(typing, vector):
    """The entries of a vector as float64."""
    kind = _broad(vector)
    return (
        kind(vector),
        lambda context, builder, signature, arguments: (
            arguments[0] if kind == vector else builder.fpext(arguments[0], _llvm(kind))
        ),
    )


@intrinsic
def filled(typing, vector, value):
    """A float64 in every lane of a vector as another one, rounded to its dtype."""

    def generate(context, builder, signature, arguments):
        return _fill(builder, arguments[1], vector)

    return vector(vector, types.float64), generate


def _integers(kind):
    """The type of a vector's entries read as integers."""
    return Vector(types.Integer.from_bitwidth(kind.dtype.bitwidth), kind.lanes)


@intrinsic
def as_integers(typing, vector):
    """The bits of floats, read as integers: those of nonnegative floats are ordered as the floats."""
    kind = _integers(vector)
    return kind(vector), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], _llvm(kind))


@intrinsic
def as_floats(typing, vector):
    """Undoes `as_integers`."""
    kind = Vector(types.float64 if vector.dtype.bitwidth == 64 else types.float32, vector.lanes)
    return kind(vector), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], _llvm(kind))


@intrinsic
def to_floats(typing, vector):
    """Integers of 64 bits as float64."""
    kind = Vector(types.float64, vector.lanes)
    return kind(vector), lambda context, builder, signature, arguments: builder.sitofp(arguments[0], _llvm(kind))


@intrinsic
def integers_like(typing, vector, value):
    """An integer in every lane of a vector of integers, as many and as wide as the entries of a vector of floats."""
    kind = _integers(vector)

    def generate(context, builder, signature, arguments):
        return _fill(builder, builder.trunc(arguments[1], ir.IntType(kind.dtype.bitwidth)), kind)

    return kind(vector, types.int64), generate


@intrinsic
def lane(typing, vector, index):
    """One entry."""
    return vector.dtype(vector, types.intp), lambda context, builder, signature, arguments: builder.extract_element(
        *arguments
    )


@intrinsic
def select(typing, mask, yes, no):
    """`yes` where the mask is set, `no` elsewhere."""
    return yes(mask, yes, no), lambda context, builder, signature, arguments: builder.select(*arguments)


@intrinsic
def total(typing, vector):
    """The sum of the entries, in a fixed order, as float64."""

    def generate(context, builder, signature, arguments):
        (sum_,) = arguments
        if isinstance(vector.dtype, types.Integer):
            sum_ = builder.sitofp(sum_, _llvm(_broad(vector)))
        elif vector.dtype == types.float32:
            sum_ = builder.fpext(sum_, _llvm(_broad(vector)))
        count = vector.lanes
        while count > 1:
            count //= 2
            halves = (
                builder.shuffle_vector(
                    sum_, sum_, ir.Constant(ir.VectorType(_INT, count), list(range(start, start + count)))
                )
                for start in (0, count)
            )
            sum_ = builder.fadd(*halves)
        return builder.extract_element(sum_, _INT(0))

    return types.float64(vector), generate


def _swap(step):
    """An intrinsic: each lane becomes that at its index with the bit `step` flipped, where there are so many lanes."""

    @intrinsic
    def swap(typing, vector):
        flip = step if step < vector.lanes else 0
        picks = ir.Constant(ir.VectorType(_INT, vector.lanes), [i ^ flip for i in range(vector.lanes)])
        return vector(vector), lambda context, builder, signature, arguments: builder.shuffle_vector(
            arguments[0], arguments[0], picks
        )

    return swap


swap_1, swap_2, swap_4 = map(_swap, (1, 2, 4))


def _call(name, *vectors):
    """An LLVM intrinsic of vectors."""
    kind = vectors[0]
    suffix = f"v{kind.lanes}f{kind.dtype.bitwidth}"

    def generate(context, builder, signature, arguments):
        shape = ir.FunctionType(_llvm(kind), [_llvm(kind)] * len(vectors))
        return builder.call(cgutils.get_or_insert_function(builder.module, shape, f"llvm.{name}.{suffix}"), arguments)

    return kind(*vectors), generate


@intrinsic
def fma(typing, a, b, c):
    """A * b + c, rounded once: of vectors, or of float64."""
    if isinstance(a, Vector):
        return _call("fma", a, b, c)
    return types.float64(types.float64, types.float64, types.float64), (
        lambda context, builder, signature, arguments: builder.fma(*arguments)
    )


@intrinsic
def size(typing, vector):
    """Absolute values."""
    return _call("fabs", vector)


@intrinsic
def bits(typing, mask):
    """A mask as an integer, lane 0 in its lowest bit."""
    return types.int64(mask), lambda context, builder, signature, arguments: builder.zext(
        builder.bitcast(arguments[0], ir.IntType(mask.lanes)), ir.IntType(64)
    )


@intrinsic
def mask_of(typing, vector, number):
    """The mask with these bits for a vector: undoes `bits`."""
    kind = Mask(vector.lanes)
    return kind(vector, types.int64), lambda context, builder, signature, arguments: builder.bitcast(
        builder.trunc(arguments[1], ir.IntType(kind.lanes)), _llvm(kind)
    )


@intrinsic
def last(typing, array, count):
    """The mask of the last `count` lanes of a vector of the array, 0 < count <= lanes."""
    kind = Mask(_native(array).lanes)

    def generate(context, builder, signature, arguments):
        integer = ir.IntType(kind.lanes)
        absent = builder.trunc(builder.sub(ir.IntType(64)(kind.lanes), arguments[1]), integer)
        return builder.bitcast(builder.shl(integer(-1), absent), _llvm(kind))

    return kind(array, types.int64), generate


@intrinsic
def load_mask(typing, array, index, flags):
    """The mask of flags[index :] that goes with a vector of the array, from booleans."""
    kind = Mask(_native(array).lanes)
    bytes_ = ir.VectorType(ir.IntType(8), kind.lanes)

    def generate(context, builder, signature, arguments):
        start = context.make_array(flags)(context, builder, arguments[2]).data
        pointer = builder.bitcast(builder.gep(start, [arguments[1]]), bytes_.as_pointer())
        return builder.icmp_unsigned("!=", builder.load(pointer, align=1), ir.Constant(bytes_, [0] * kind.lanes))

    return kind(array, types.intp, flags), generate


def load_between(array, index, source, low, high):
    """The mask of low <= source[index :] < high that goes with a vector of the array; of booleans, that of the true ones."""
    raise NotImplementedError("for kernels only")


@overload(load_between, inline="always")
def _load_between(array, index, source, low, high):
    def compare(array, index, source, low, high):
        entries = load_eight(source, index)
        return (entries >= narrowed(source, broad(array, low))) & (entries < narrowed(source, broad(array, high)))

    return (
        (lambda array, index, source, low, high: load_mask(array, index, source))
        if (source.dtype == types.boolean)
        else compare
    )


def load_again(array, index, source, known, j):
    """What `load_between` gave at this index: its bits are `known[j]`, or else it is asked again, where that is as quick."""
    raise NotImplementedError("for kernels only")


@overload(load_again, inline="always")
def _load_again(array, index, source, known, j):
    return (
        (lambda array, index, source, known, j: load_mask(array, index, source))
        if source.dtype == types.boolean
        else (lambda array, index, source, known, j: mask_of(load(array, 0), known[j]))
    )


def _packs(context):
    """Whether the machine moves chosen lanes of a vector next to each other at once."""
    return "+avx512f" in context.codegen().magic_tuple()[2]


@intrinsic
def packs(typing):
    """Whether `append` costs no more than a branch that nobody can foresee."""
    return types.boolean(), lambda context, builder, signature, arguments: context.get_constant(
        types.boolean, _packs(context)
    )


@intrinsic
def append(typing, buffer, count, mask, vector):
    """Put the lanes in the mask at buffer[count :], as float64, and anything behind them; the number in the buffer then."""
    kind, lanes_ = _broad(vector), vector.lanes

    def generate(context, builder, signature, arguments):
        array, number, chosen, entries = arguments
        start = context.make_array(buffer)(context, builder, array).data
        bits_ = builder.bitcast(chosen, ir.IntType(lanes_))
        total = builder.add(number, builder.zext(builder.ctpop(bits_), number.type))
        if _packs(context):
            same = _llvm(vector)
            shape = ir.FunctionType(same, [same, same, _llvm(mask)])
            name = f"llvm.x86.avx512.mask.compress.v{lanes_}f{vector.dtype.bitwidth}"
            pack = cgutils.get_or_insert_function(builder.module, shape, name)
            packed = builder.call(pack, [entries, ir.Constant(same, ir.Undefined), chosen])
            wide = packed if kind == vector else builder.fpext(packed, _llvm(kind))
            to = builder.bitcast(builder.gep(start, [number]), _llvm(kind).as_pointer())
            builder.store(wide, to, align=8)
            return total
        wide = entries if kind == vector else builder.fpext(entries, _llvm(kind))
        for i in range(lanes_):
            builder.store(builder.extract_element(wide, _INT(i)), builder.gep(start, [number]))
            number = builder.add(number, builder.zext(builder.extract_element(chosen, _INT(i)), number.type))
        return total

    return types.intp(buffer, types.intp, mask, vector), generate


@intrinsic
def any_of(typing, mask):
    """Whether any lane is set."""

    def generate(context, builder, signature, arguments):
        integer = ir.IntType(mask.lanes)
        return builder.icmp_unsigned("!=", builder.bitcast(arguments[0], integer), integer(0))

    return types.boolean(mask), generate


@intrinsic
def lowest_bit(typing, number):
    """The place of the lowest bit of an integer that is not 0."""
    return types.int64(types.int64), lambda context, builder, signature, arguments: builder.cttz(
        arguments[0], ir.IntType(1)(1)
    )


@intrinsic
def count_bits(typing, number):
    """How many bits of an integer are set."""
    return types.int64(types.int64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


def _define(operation, kind, floats, integers=None, *, sign=None):
    """Give an operator its meaning for two operands of the same type, vectors or masks: methods of LLVM's builder.

    By Numba's low-level interface: an overload would be compiled anew wherever the operator stands, half of all the time.
    """

    @type_callable(operation)
    def choose(context):
        def result(a, b):
            if isinstance(a, kind) and a == b:
                return a if sign is None else Mask(a.lanes)
            return None

        return result

    @lower_builtin(operation, kind, kind)
    def apply(context, builder, signature, arguments):
        whole = integers is not None and isinstance(signature.args[0].dtype, types.Integer)
        method = getattr(builder, integers if whole else floats)
        return method(*arguments) if sign is None else method(sign, *arguments)


def _define_unary(operation, kind, method):
    """Likewise for one operand."""

    @type_callable(operation)
    def choose(context):
        return lambda a: a if isinstance(a, kind) else None

    @lower_builtin(operation, kind)
    def apply(context, builder, signature, arguments):
        return getattr(builder, method)(*arguments)


_define(operator.add, Vector, "fadd", "add")
_define(operator.sub, Vector, "fsub", "sub")
_define(operator.mul, Vector, "fmul")
_define(operator.truediv, Vector, "fdiv")
for _operation, _sign in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
):
    _define(_operation, Vector, "fcmp_ordered", "icmp_signed", sign=_sign)
_define(operator.ne, Vector, "fcmp_unordered", "icmp_signed", sign="!=")
_define(operator.and_, Mask, "and_")
_define(operator.or_, Mask, "or_")
_define_unary(operator.neg, Vector, "fneg")
_define_unary(operator.invert, Mask, "not_")


@intrinsic
def common_bits(typing, a, b):
    """The bits that two vectors of integers share."""
    return a(a, b), lambda context, builder, signature, arguments: builder.and_(*arguments)


@jit()
def ceil_matching(kind, v):
    """The smallest numbers of the dtype of another vector that are not below those of a broad one."""
    near = matching(kind, v)
    number, one = as_integers(near), integers_like(near, 1)
    above = as_floats(select(number < integers_like(near, 0), number - one, number + one))
    return select(widened(near) < v, above, near)


@jit()
def larger(a, b):
    """The larger of each pair; b where one is NaN."""
    return select(a > b, a, b)


@jit()
def smaller(a, b):
    """The smaller of each pair; b where one is NaN."""
    return select(a < b, a, b)


@jit()
def largest(v):
    """The largest of eight lanes."""
    v = larger(v, swap_4(v))
    v = larger(v, swap_2(v))
    return lane(larger(v, swap_1(v)), 0)


@jit()
def smallest(v):
    """The smallest of eight lanes."""
    v = smaller(v, swap_4(v))
    v = smaller(v, swap_2(v))
    return lane(smaller(v, swap_1(v)), 0)


@jit()
def add_where(mask, a, b):
    """A + b where the mask is set, a elsewhere."""
    return select(mask, a + b, a)


@jit()
def load_columns(array, start, stride):
    """The columns of eight by eight entries: of eight rows that are so far apart, the first one at array[start]."""
    return transpose(
        (
            load_eight(array, start),
            load_eight(array, start + stride),
            load_eight(array, start + 2 * stride),
            load_eight(array, start + 3 * stride),
            load_eight(array, start + 4 * stride),
            load_eight(array, start + 5 * stride),
            load_eight(array, start + 6 * stride),
            load_eight(array, start + 7 * stride),
        )
    )
