// Projections onto the hypersimplex: rows of scores in; p, masks of free entries and products with the Jacobian out.
//
// p_i = clip((x_i - theta) / tau, 0, 1), theta the root of sum_i clip(x_i - theta, 0, tau) = k tau.
//
// Floats guess theta; scores less the guess become integers; theta, rounded down, is found by a search in integers, whose
// sums no order of adding changes. So no bit depends on the guess, on the launch or on how many threads share a row.
// docs/gpu.md argues each step. NVRTC compiles it for devices, a C++ compiler for tests (tests/support/cuda_on_cpu.h).

#ifdef __CUDACC__
extern __shared__ __align__(16) unsigned char memory_of_block[];

// CuPy has all float32 arithmetic flush subnormal numbers to 0. These don't.
#define EXACTLY(name, instruction)                                                                                      \
    static __device__ float name(float a, float b) {                                                                    \
        float c;                                                                                                        \
        asm(instruction " %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));                                                     \
        return c;                                                                                                       \
    }
EXACTLY(exact_difference, "sub.rn.f32")
EXACTLY(exact_product, "mul.rn.f32")
EXACTLY(exact_minimum, "min.f32")
EXACTLY(exact_maximum, "max.f32")
static __device__ double exact_double(float a) {
    double c;
    asm("cvt.f64.f32 %0, %1;" : "=d"(c) : "f"(a));
    return c;
}
static __device__ float exact_float(double a) {
    float c;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(c) : "d"(a));
    return c;
}
#endif
static __device__ double exact_difference(double a, double b) { return a - b; }
static __device__ double exact_product(double a, double b) { return a * b; }
static __device__ double exact_minimum(double a, double b) { return fmin(a, b); }
static __device__ double exact_maximum(double a, double b) { return fmax(a, b); }
static __device__ double exact_double(double a) { return a; }

namespace hsproj {

using Long = long long;

#define INFINITE __int_as_float(0x7f800000)
#define NOT_A_NUMBER __int_as_float(0x7fffffff)

// How numbers become integers: a temperature is in [1, 2), or scaled to be, and one unit is 2^bits.
template <class T> struct Fixed;

template <> struct Fixed<float> {
    using Int = int;
    using Unsigned = unsigned;
    using Sum = Long;
    static constexpr int bits = 27, widest = 180, largest = 120;

    static __device__ Int round_down(float z) { return __float2int_rd(z); }
    static __device__ Int bits_of(float x) { return __float_as_int(x); }
    static __device__ float float_of(Int i) { return __int_as_float(i); }
    static __device__ float power(int e) { return ldexpf(1.0f, e); }
    static __device__ float saturate(float z) { return __saturatef(z); }
    static __device__ float nearest(double z) { return exact_float(z); }
    static __device__ int cotangent_bits(int n) { return 30 + __clz(n); }  // n of these add up to less than 2^62
};

template <> struct Fixed<double> {
    using Int = Long;
    using Unsigned = unsigned long long;
    using Sum = __int128;
    static constexpr int bits = 59, widest = 1100, largest = 1000;

    static __device__ Int round_down(double z) { return __double2ll_rd(z); }
    static __device__ Int bits_of(double x) { return __double_as_longlong(x); }
    static __device__ double float_of(Int i) { return __longlong_as_double(i); }
    static __device__ double power(int e) { return ldexp(1.0, e); }
    static __device__ double saturate(double z) { return fmin(fmax(z, 0.0), 1.0); }
    static __device__ double nearest(double z) { return z; }
    static __device__ int cotangent_bits(int) { return 60; }
};

static __device__ double as_double(Long sum) { return (double)sum; }
static __device__ double as_double(__int128 sum) {
    if (sum < 0) return -as_double(-sum);  // the halves of small negative numbers are far from 0
    return (double)(Long)(sum >> 64) * 18446744073709551616.0 + (double)(unsigned long long)sum;
}

// What a call asks for. Outputs that nobody wants are null; k and tau are one number for all rows where `ks`, `taus` are null.
template <class T> struct Call {
    const T *x;
    const double *ks;
    double k;
    const double *taus;
    double tau;
    const T *v;
    T *p;
    unsigned char *free;
    T *product;
    unsigned char *scratch;
    Long m;
    int n;

    __device__ double tau_of(Long row) const { return taus ? taus[row] : tau; }
};

// ---------------------------------------------------------------------------------------------------------------------
// Who works on a row. `merge` replaces what each thread of a team has found by what all have; each gets the same bits.

static constexpr int LARGEST_PARTIAL = 64;

template <class S> static __device__ S from_lane(const S &mine, int distance, unsigned lanes) {
    static_assert(sizeof(S) % 4 == 0 && sizeof(S) <= LARGEST_PARTIAL, "whole words, and room for them");
    unsigned words[sizeof(S) / 4];
    memcpy(words, &mine, sizeof(S));
#pragma unroll
    for (unsigned &word : words) word = __shfl_xor_sync(lanes, word, distance);
    S other;
    memcpy(&other, words, sizeof(S));
    return other;
}

// 2^i neighbouring lanes of a warp.
template <int Lanes> struct Warp {
    int rank = threadIdx.x % Lanes, size = Lanes;

    __device__ explicit Warp(unsigned char *) {}
    __device__ Long first() const { return ((Long)blockIdx.x * blockDim.x + threadIdx.x) / Lanes; }
    __device__ Long teams() const { return (Long)gridDim.x * blockDim.x / Lanes; }
    static __device__ unsigned char *rest_of_memory() { return memory_of_block; }

    template <class S> __device__ void merge(S &mine) {
        unsigned lanes = Lanes == 32 ? 0xffffffffu : ((1u << Lanes % 32) - 1) << (threadIdx.x % 32 / Lanes * Lanes);
#pragma unroll
        for (int distance = Lanes / 2; distance; distance /= 2) mine.merge(from_lane(mine, distance, lanes));
    }
};

// A block of whole warps. Partial results lie in one of two places by turns: so one barrier a merge is enough.
struct Block {
    int rank = threadIdx.x, size = blockDim.x, turn = 0;
    static constexpr int MOST_WARPS = 32, MEMORY = 2 * MOST_WARPS * LARGEST_PARTIAL;

    __device__ explicit Block(unsigned char *) {}
    __device__ Long first() const { return blockIdx.x; }
    __device__ Long teams() const { return gridDim.x; }
    static __device__ unsigned char *rest_of_memory() { return memory_of_block + MEMORY; }

    template <class S> __device__ void merge(S &mine) {
        Warp<32> warp(nullptr);
        warp.merge(mine);
        S *partial = (S *)(memory_of_block + turn * MEMORY / 2);
        if (warp.rank == 0) partial[threadIdx.x / 32] = mine;
        __syncthreads();
        mine = warp.rank < size / 32 ? partial[warp.rank] : S();
        warp.merge(mine);
        turn = !turn;
    }
};

// All blocks, launched together (cooperatively), on one row after the other. Their scratch is a counter, 0 at first, and two
// places for the result of each block.
struct Grid {
    Block block{nullptr};
    int rank = blockIdx.x * blockDim.x + threadIdx.x, size = gridDim.x * blockDim.x;
    unsigned char *scratch;
    unsigned waits = 0;

    __device__ explicit Grid(unsigned char *scratch) : scratch(scratch) {}
    __device__ Long first() const { return 0; }
    __device__ Long teams() const { return 1; }
    static __device__ unsigned char *rest_of_memory() { return Block::rest_of_memory(); }

    template <class S> __device__ void merge(S &mine) {
        block.merge(mine);
        volatile unsigned *partials = (volatile unsigned *)(scratch + LARGEST_PARTIAL * (1 + waits % 2 * gridDim.x));
        constexpr int words = sizeof(S) / 4, stride = LARGEST_PARTIAL / 4;
        unsigned copy[words];
        if (threadIdx.x == 0) {
            memcpy(copy, &mine, sizeof(S));
            for (int w = 0; w < words; ++w) partials[blockIdx.x * stride + w] = copy[w];
        }
        wait();
        mine = S();
        for (int b = threadIdx.x; b < gridDim.x; b += blockDim.x) {
            S other;
            for (int w = 0; w < words; ++w) copy[w] = partials[b * stride + w];
            memcpy(&other, copy, sizeof(S));
            mine.merge(other);
        }
        block.merge(mine);
    }
    __device__ void wait() {
        unsigned all = ++waits * gridDim.x;
        if (threadIdx.x == 0) {
            __threadfence();
            atomicAdd((unsigned *)scratch, 1u);
            while (*(volatile unsigned *)scratch < all) __nanosleep(20);
            __threadfence();
        }
        __syncthreads();
    }
};

// ---------------------------------------------------------------------------------------------------------------------
// What is asked of a row, and how its scores become integers.

// `step` is the temperature as an integer, `total` k times that.
template <class T> struct Asked {
    using F = Fixed<T>;

    double k, tau;
    bool valid;
    T scale, scale_too;  // two factors, since their product may be out of range
    typename F::Int step = 0;
    typename F::Sum total = 0;

    __device__ Asked(const Call<T> &call, Long row) : k(call.ks ? call.ks[row] : call.k), tau(call.tau_of(row)) {
        valid = k >= 0 && k <= call.n && tau > 0 && tau < INFINITE;
        if (!valid) return;
        int exponent;
        double mantissa = frexp(tau, &exponent);
        // Beyond these it is below all differences of scores, or above all, and as good as another one.
        exponent = exponent < -F::widest ? -F::widest : exponent > F::widest ? F::widest : exponent;
        scale = F::power((1 - exponent) / 2);
        scale_too = F::power(1 - exponent - (1 - exponent) / 2);
        step = (typename F::Int)rint(ldexp(mantissa, F::bits + 1));
        double whole = floor(k), share = __dmul_rn(k - whole, (double)step), error = fma(k - whole, (double)step, -share);
        Long part = (Long)rint(share) + (Long)rint((share - rint(share)) + error);
        if (k > whole && part < 1) part = 1;  // or theta would not be below the ceil(k)-th largest score
        total = (typename F::Sum)(Long)whole * step + part;
    }
};

// Scores as integers, 0 at a pivot near theta. Those between BELOW and HIGHEST units lose nothing by the subtraction, and
// what rounding down gives does not depend on where one counts from; those beyond are only beyond.
template <class T> struct Ruler {
    using F = Fixed<T>;
    using Int = typename F::Int;
    static constexpr Int ONE = (Int)1 << F::bits;
    static constexpr double LOWEST = -2.5, HIGHEST = 3.25;
    static constexpr Int BELOW = -ONE * 2 - ONE / 4, ABOVE = ONE + ONE / 4;  // theta is looked for between these

    T origin = 0, anchor = 0, scale = 1, scale_too = 1;
    Int offset = 0;

    Ruler() = default;
    __device__ Ruler(const Asked<T> &asked, T pivot) : scale(asked.scale), scale_too(asked.scale_too) {
        T scaled = exact_product(exact_product(pivot, scale), scale_too);
        bool near = fabs(scaled) <= 7;  // beyond, scores that are not beyond are within a factor 2 of the pivot
        origin = near ? (T)0 : pivot;
        anchor = near ? scaled : (T)0;
        offset = F::round_down(exact_product(anchor, (T)ONE));
    }
    __device__ Int operator()(T x) const {
        T z = exact_product(exact_product(exact_difference(x, origin), scale), scale_too);
        z = exact_minimum(exact_maximum(z, anchor + (T)LOWEST), anchor + (T)HIGHEST);
        return F::round_down(exact_product(z, (T)ONE)) - offset;
    }
};

// Where a thread keeps its share of a row: `Held` numbers in registers, or in the memory of its block, or nowhere.
enum { IN_BLOCK = 0, NOT_HELD = -1 };

template <class T, int Held> struct Row {
    using F = Fixed<T>;
    using Int = typename F::Int;

    const T *from;
    Int *in_block;
    int n, rank, size;
    Int registers[Held > 0 ? Held : 1];
    Ruler<T> ruler;

    template <class Team> __device__ Row(const T *from, int n, unsigned char *memory, const Team &team)
        : from(from), in_block((Int *)memory), n(n), rank(team.rank), size(team.size) {
        load();
    }
    // f(index of an entry, its slot); registers beyond the row hold -inf, which changes nothing.
    template <class F> __device__ void slots(F f) {
        if constexpr (Held > 0) {
#pragma unroll
            for (int slot = 0; slot < Held; ++slot) f(rank + slot * size, slot);
        } else {
            for (int i = rank; i < n; i += size) f(i, 0);
        }
    }
    __device__ Int &held(int i, int slot) {
        if constexpr (Held > 0) return registers[slot];
        return in_block[i];
    }
    __device__ void load() {
        if constexpr (Held != NOT_HELD)
            slots([&](int i, int slot) { held(i, slot) = F::bits_of(Held <= 0 || i < n ? from[i] : (T)-INFINITE); });
    }
    // From here on, `integer` instead of `number`.
    __device__ void measure(const Ruler<T> &by) {
        ruler = by;
        if constexpr (Held != NOT_HELD)
            slots([&](int i, int slot) { held(i, slot) = ruler(F::float_of(held(i, slot))); });
    }
    __device__ T number(int i, int slot) {
        if constexpr (Held == NOT_HELD) return from[i];
        return F::float_of(held(i, slot));
    }
    __device__ Int integer(int i, int slot) {
        if constexpr (Held == NOT_HELD) return ruler(from[i]);
        return held(i, slot);
    }
    template <class F> __device__ void numbers(F f) {
        slots([&](int i, int slot) { f(number(i, slot)); });
    }
    template <class F> __device__ void integers(F f) {
        slots([&](int i, int slot) { f(integer(i, slot)); });
    }
};

// ---------------------------------------------------------------------------------------------------------------------
// What passes over a row find out. Each starts as nothing, and two of them merge into one.

// Floats in order as integers; their bits, but that negative ones descend as these ascend. It is its own inverse.
template <class Int> static __device__ Int ordered(Int bits) {
    constexpr Int all_but_sign = ~((Int)1 << (8 * sizeof(Int) - 1));
    return bits < 0 ? bits ^ all_but_sign : bits;
}

template <class T> struct Look {
    using F = Fixed<T>;
    using Int = typename F::Int;

    Int highest = ordered(F::bits_of((T)-INFINITE)), lowest = ordered(F::bits_of((T)INFINITE));  // of the finite ones
    T sum = 0;
    int bad = 0, plus = 0, usable = 0;

    __device__ T high() const { return F::float_of(ordered(highest)); }
    __device__ T low() const { return F::float_of(ordered(lowest)); }
    __device__ void add(T x) {
        bad += x != x;
        plus += x == INFINITE;
        usable += x > -INFINITE;
        if (x > -INFINITE && x < INFINITE) {
            Int place = ordered(F::bits_of(x));
            highest = highest > place ? highest : place;
            lowest = lowest < place ? lowest : place;
            sum += x;
        }
    }
    __device__ void merge(const Look &o) {
        highest = highest > o.highest ? highest : o.highest;
        lowest = lowest < o.lowest ? lowest : o.lowest;
        sum += o.sum;
        bad += o.bad;
        plus += o.plus;
        usable += o.usable;
    }
};

template <class S> struct Tally {
    S sum = 0;
    int count = 0;

    __device__ void merge(const Tally &o) {
        sum += o.sum;
        count += o.count;
    }
};

struct Largest {
    double value = 0;

    __device__ void merge(const Largest &o) { value = fmax(value, o.value); }
};

// ---------------------------------------------------------------------------------------------------------------------
// The search for theta.

// What is decided about a row: theta is `at` or, unless `exact`, above it by `rest` < 1 of an integer.
template <class T> struct Sets {
    using Int = typename Fixed<T>::Int;

    bool answered = false, exact = true;
    Int at = 0, step = 1;
    double rest = 0, inverse = 1;

    __device__ bool in_support(Int y) const { return y > at; }
    __device__ bool is_saturated(Int y) const { return y - step >= at + !exact; }
    __device__ bool is_free(Int y) const { return answered && in_support(y) && !is_saturated(y); }
    __device__ T p(Int y) const {
        if (!answered) return NOT_A_NUMBER;
        if (!in_support(y)) return 0;
        if (is_saturated(y)) return 1;
        return Fixed<T>::nearest(fmin(((double)(y - at) - rest) * inverse, 1.0));
    }
};

// A number next to theta, most often. It needs no proof.
template <class T, class Team, int Held>
__device__ T guess(const Asked<T> &asked, const Look<T> &seen, Row<T, Held> &row, Team &team) {
    using F = Fixed<T>;
    // In temperatures, from an origin that takes little away from the digits of scores with a large offset.
    T high = seen.high(), low = seen.low();
    T origin = high - low < fabs(high) ? high : (T)0, limit = F::power(F::largest);
    T inverse = (T)fmin(fmax(1.0 / asked.tau, 1.0 / (double)limit), (double)limit);
    T left = (low - origin) * inverse - 1, right = (high - origin) * inverse, k = (T)asked.k;
    if (!(right - left < INFINITE)) return high;
    // Halfway there in orders of magnitude, since one score may be far away from the others.
    auto halfway = [&] {
        auto order = [](T z) { return z < 0 ? -log1p(-z) : log1p(z); };
        T middle = order(left) + (order(right) - order(left)) / 2;
        return middle < 0 ? -expm1(-middle) : expm1(middle);
    };
    int finite = seen.usable - seen.plus;
    T t = (seen.sum / finite - origin) * inverse - (k - seen.plus) / finite;
    if (!(t > left && t < right)) t = halfway();
    for (int steps = 0; steps < 32; ++steps) {
        Tally<T> at;
        row.numbers([&](T x) {
            T z = F::saturate((x - origin) * inverse - t);
            at.sum += z;
            at.count += z > 0 && z < 1;
        });
        team.merge(at);
        T excess = at.sum - k;
        (excess >= 0 ? left : right) = t;
        T next = t + excess / at.count;
        if (!(next > left && next < right) || (steps > 8 && steps % 2)) next = halfway();
        T moved = fabs(next - t);
        t = next;
        if (moved < (T)0.125) break;
    }
    double theta = (double)origin + (double)t * asked.tau;
    return (T)fmin(fmax(theta, (double)low), (double)high);
}

// The largest score but for need - 1, by bisection over all floats in order.
template <class T, class Team, int Held>
__device__ T nth_largest(int need, const Look<T> &seen, Row<T, Held> &row, Team &team) {
    using Int = typename Fixed<T>::Int;
    using Unsigned = typename Fixed<T>::Unsigned;
    Int low = seen.lowest, high = seen.highest;
    while (low < high) {
        Int middle = (Int)((Unsigned)high - ((Unsigned)high - (Unsigned)low) / 2);
        Tally<int> at;
        row.numbers([&](T x) { at.count += ordered(Fixed<T>::bits_of(x)) >= middle; });
        team.merge(at);
        if (at.count >= need)
            low = middle;
        else
            high = middle - 1;
    }
    return Fixed<T>::float_of(ordered(low));
}

// Whether theta is between the ends of the ruler; then `sets` are those of the row.
template <class T, class Team, int Held>
__device__ bool search(const Asked<T> &asked, Sets<T> &sets, Row<T, Held> &row, Team &team) {
    using Int = typename Fixed<T>::Int;
    using Sum = typename Fixed<T>::Sum;
    Int below = Ruler<T>::BELOW, above = Ruler<T>::ABOVE, q = 0;
    bool tried_the_end = false;
    for (int steps = 0; above - below > 1; ++steps) {
        Tally<Sum> at;
        row.integers([&](Int y) {
            Int d = y - q;
            at.sum += d < 0 ? 0 : d > asked.step ? asked.step : d;
            at.count += d > 0 && d <= asked.step;
        });
        team.merge(at);
        // From q to q + 1 the sum falls by the count, evenly.
        Sum excess = at.sum - asked.total;
        if (excess == 0 || (excess > 0 && excess < at.count)) {
            sets.at = q;
            sets.exact = excess == 0;
            sets.rest = sets.exact ? 0.0 : as_double(excess) / at.count;
            return true;
        }
        (excess > 0 ? below : above) = q;
        Int next = below + (above - below) / 2;
        if (at.count && (steps < 6 || steps % 2)) {
            double newton = floor(as_double(excess) / at.count), limit = (double)asked.step;
            next = q + (Int)fmin(fmax(newton, -limit), limit);
            next = next <= below ? below + 1 : next >= above ? above - 1 : next;
        } else if (!at.count && !tried_the_end) {  // maybe theta is beyond
            tried_the_end = true;
            next = excess > 0 ? above - 1 : below + 1;
        }
        q = next;
    }
    return false;
}

// The sets of a row, which holds integers from then on.
template <class T, class Team, int Held>
__device__ Sets<T> solve(const Asked<T> &asked, Row<T, Held> &row, Team &team) {
    Sets<T> sets;
    Look<T> seen;
    row.numbers([&](T x) { seen.add(x); });
    team.merge(seen);
    if (!asked.valid || seen.bad || seen.plus > asked.k || asked.k > seen.usable) return sets;
    sets.answered = true;
    sets.step = asked.step;
    sets.inverse = 1.0 / (double)asked.step;
    if (asked.k <= seen.plus) {  // theta is the highest finite score
        row.measure(Ruler<T>(asked, seen.usable > seen.plus ? seen.high() : (T)0));
        return sets;
    }
    row.measure(Ruler<T>(asked, guess(asked, seen, row, team)));
    if (search(asked, sets, row, team)) return sets;
    // The guess was too far off. Theta is in [c - tau, c) for c the ceil(k)-th largest score.
    row.load();
    row.measure(Ruler<T>(asked, nth_largest((int)ceil(asked.k), seen, row, team)));
    search(asked, sets, row, team);
    return sets;
}

// ---------------------------------------------------------------------------------------------------------------------
// The product with the Jacobian: free entries of v less their mean, over tau.

// The sum of cotangents is one of integers, and its mean rounds once: equal cotangents have exactly 0 as their product.
template <class T, class Team, int Held, class IsFree>
__device__ void multiply(T *product, double tau, Row<T, Held> &v, Team &team, IsFree is_free) {
    using F = Fixed<T>;
    using Sum = typename F::Sum;
    auto cotangent = [&](int i, int slot) { return exact_double(v.number(i, slot)); };
    Largest largest;
    v.slots([&](int i, int slot) {
        double value = cotangent(i, slot);
        if (is_free(i, slot)) largest.value = fmax(largest.value, value == value ? fabs(value) : (double)INFINITE);
    });
    team.merge(largest);

    int exponent = 0;
    bool finite = largest.value < INFINITE;
    if (finite && largest.value > 0) frexp(largest.value, &exponent);
    int shift = F::cotangent_bits(v.n) - exponent;
    double factor = ldexp(1.0, shift / 2), factor_too = ldexp(1.0, shift - shift / 2);
    Tally<Sum> at;
    v.slots([&](int i, int slot) {
        if (!is_free(i, slot)) return;
        if (finite) at.sum += (Long)rint(cotangent(i, slot) * factor * factor_too);
        ++at.count;
    });
    team.merge(at);

    Long each = at.count > 1 ? at.count : 1, whole = (Long)(at.sum / each), part = (Long)(at.sum - (Sum)whole * each);
    double head = ldexp((double)whole, -shift);
    double tail = ldexp((double)(whole - (Long)(double)whole) + (double)part / (double)each, -shift);
    double mean = finite ? head + tail : (double)NOT_A_NUMBER, rest = (head - mean) + tail;
    double half = exponent > 1022 ? 0.5 : 1.0;  // of what might overflow
    tau *= half;
    double inverse = 1.0 / tau;
    bool quick = sizeof(T) < 8 && inverse < INFINITE;  // two roundings in double are one in float, but for ties of ties
    v.slots([&](int i, int slot) {
        if (i >= v.n) return;
        double difference = (cotangent(i, slot) * half - mean * half) - rest * half;
        product[i] = is_free(i, slot) ? F::nearest(quick ? difference * inverse : difference / tau) : (T)0;
    });
}

// ---------------------------------------------------------------------------------------------------------------------
// The kernels.

template <class T, class Team, int Held, bool Product> __device__ void solve_rows(const Call<T> &call) {
    Team team(call.scratch);
    unsigned char *memory = Team::rest_of_memory();
    for (Long r = team.first(); r < call.m; r += team.teams()) {
        Long start = r * call.n;
        Asked<T> asked(call, r);
        Row<T, Held> row(call.x + start, call.n, memory, team);
        Sets<T> sets = solve(asked, row, team);
        row.slots([&](int i, int slot) {
            if (i >= call.n) return;
            auto y = row.integer(i, slot);
            if (call.p) call.p[start + i] = sets.p(y);
            if (call.free) call.free[start + i] = sets.is_free(y);
        });
        if constexpr (Product) {
            if (sets.answered) {
                Row<T, Held> v(call.v + start, call.n, memory + call.n * sizeof(T), team);
                multiply(call.product + start, asked.tau, v, team,
                         [&](int i, int slot) { return i < call.n && sets.is_free(row.integer(i, slot)); });
            } else {
                row.slots([&](int i, int) { if (i < call.n) call.product[start + i] = NOT_A_NUMBER; });
            }
        }
    }
}

template <class T, class Team, int Held> __device__ void project(const Call<T> &call) {
    solve_rows<T, Team, Held, false>(call);
}

template <class T, class Team, int Held> __device__ void project_and_multiply(const Call<T> &call) {
    solve_rows<T, Team, Held, true>(call);
}

// Products from masks of free entries.
template <class T, class Team, int Held> __device__ void tangent(const Call<T> &call) {
    Team team(call.scratch);
    for (Long r = team.first(); r < call.m; r += team.teams()) {
        Long start = r * call.n;
        Row<T, Held> v(call.v + start, call.n, Team::rest_of_memory(), team);
        multiply(call.product + start, call.tau_of(r), v, team,
                 [&](int i, int) { return i < call.n && call.free[start + i]; });
    }
}

}  // namespace hsproj

#define HSPROJ_ARGUMENTS x, ks, k, taus, tau, v, p, free, product, scratch, m, n
#define HSPROJ_PARAMETERS(T)                                                                                            \
    const T *x, const double *ks, double k, const double *taus, double tau, const T *v, T *p, unsigned char *free,      \
        T *product, unsigned char *scratch, long long m, int n

// hsproj/_cuda/__init__.py adds a line with the kernel that it wants. 512 threads of a multiprocessor have 128 registers each.
#define HSPROJ_KERNEL(Function, T, Team, Held, Threads)                                                                 \
    extern "C" __global__ void __launch_bounds__(Threads, (Threads < 512 ? 512 / Threads : 1))                         \
        hsproj_kernel(HSPROJ_PARAMETERS(T)) {                                                                           \
        hsproj::Function<T, hsproj::Team, Held>({HSPROJ_ARGUMENTS});                                                    \
    }
