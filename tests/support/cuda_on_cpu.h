// What hsproj/_cuda/kernels.cu uses of CUDA, for a C++ compiler on a CPU: threads are fibers that take turns.
//
// A thread goes on until it meets others: at a shuffle of its warp, a barrier of its block, or a wait for other blocks. If none
// of them can go on, threads of a team have taken different ways, and the launch ends with an error. Blocks of a cooperative
// launch are alive together, others run one after the other.

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

#define __device__
#define __global__
#define __launch_bounds__(...)

namespace cuda_on_cpu {

struct Index {
    unsigned x;
};

// Threads that wait for each other, and the words that they show.
struct Meeting {
    int size, arrived = 0;
    unsigned long round = 0;
    std::vector<unsigned> shown[2];

    explicit Meeting(int size) : size(size), shown{std::vector<unsigned>(size), std::vector<unsigned>(size)} {}
};

struct EmulatedBlock {
    std::vector<unsigned char> memory;
    Meeting barrier;
    std::vector<std::vector<Meeting>> teams;  // for 2^i lanes: a meeting for each so many threads

    EmulatedBlock(int threads, size_t bytes) : memory(bytes + 64), barrier(threads) {
        for (int lanes = 1; lanes <= 32; lanes *= 2) teams.emplace_back(threads / lanes, Meeting(lanes));
    }
};

struct Fiber {
    Index thread, block;
    EmulatedBlock *home;
    std::unique_ptr<unsigned char[]> stack;
    ucontext_t start;
    jmp_buf here;
    bool started = false, done = false;
};

inline Index block_size, grid_size;
inline Fiber *current;
inline jmp_buf scheduler;
inline std::function<void()> body;
inline unsigned long progress;
inline long merges;  // shuffles of the first thread: a measure of how many passes there were

// Whether arithmetic takes subnormal numbers for 0, as CuPy has it on a device.
inline bool flushing = false;

class Flush {
   public:
    explicit Flush(bool on) {
#ifdef __SSE__
        before = _mm_getcsr();
        _mm_setcsr(on ? before | BITS : before & ~BITS);
#endif
    }
    ~Flush() {
#ifdef __SSE__
        _mm_setcsr(before);
#endif
    }

   private:
    static constexpr unsigned BITS = 0x8040;
    unsigned before = 0;
};

inline void pass_on() {
    if (!_setjmp(current->here)) _longjmp(scheduler, 1);
}

// Returns the place where this round's words are shown, which is left alone until the next round is over.
inline std::vector<unsigned> &meet(Meeting &meeting, int rank, unsigned word) {
    unsigned long round = meeting.round;
    std::vector<unsigned> &shown = meeting.shown[round % 2];
    shown[rank] = word;
    ++progress;
    if (++meeting.arrived == meeting.size) {
        meeting.arrived = 0;
        ++meeting.round;
    }
    while (meeting.round == round) pass_on();
    return shown;
}

inline void enter() {
    body();
    current->done = true;
    ++progress;
    _longjmp(scheduler, 1);
}

inline void resume(Fiber &fiber) {
    current = &fiber;
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.here, 1);
    fiber.started = true;
    setcontext(&fiber.start);
}

// 0, or 1 if threads wait for others that don't come.
inline int run(std::vector<Fiber> &fibers) {
    for (int idle = 0;;) {
        bool all = true;
        unsigned long before = progress;
        for (Fiber &fiber : fibers)
            if (!fiber.done) {
                all = false;
                resume(fiber);
            }
        if (all) return 0;
        idle = progress == before ? idle + 1 : 0;
        if (idle > 2) return 1;
    }
}

inline int launch(int blocks, int threads, size_t shared_bytes, bool cooperative, bool flush, std::function<void()> kernel) {
    Flush as_asked(flush);
    flushing = flush;
    constexpr size_t STACK = 64 * 1024;
    block_size.x = threads;
    grid_size.x = blocks;
    body = std::move(kernel);
    merges = 0;
    for (int first = 0, alive = cooperative ? blocks : 1; first < blocks; first += alive) {
        std::vector<EmulatedBlock> homes;
        for (int b = 0; b < alive; ++b) homes.emplace_back(threads, shared_bytes);
        std::vector<Fiber> fibers(alive * threads);
        for (int f = 0; f < alive * threads; ++f) {
            Fiber &fiber = fibers[f];
            fiber.thread.x = f % threads;
            fiber.block.x = first + f / threads;
            fiber.home = &homes[f / threads];
            fiber.stack.reset(new unsigned char[STACK]);
            getcontext(&fiber.start);
            fiber.start.uc_stack.ss_sp = fiber.stack.get();
            fiber.start.uc_stack.ss_size = STACK;
            fiber.start.uc_link = nullptr;
            makecontext(&fiber.start, enter, 0);
        }
        if (run(fibers)) return 1;
    }
    return 0;
}

inline unsigned char *shared() {
    unsigned char *start = current->home->memory.data();
    return start + (-(uintptr_t)start & 15);
}

}  // namespace cuda_on_cpu

#define threadIdx (cuda_on_cpu::current->thread)
#define blockIdx (cuda_on_cpu::current->block)
#define blockDim (cuda_on_cpu::block_size)
#define gridDim (cuda_on_cpu::grid_size)
#define memory_of_block (cuda_on_cpu::shared())

inline unsigned __shfl_xor_sync(unsigned lanes, unsigned word, int distance) {
    int first = __builtin_ctz(lanes), size = __builtin_popcount(lanes), lane = threadIdx.x % 32, rank = lane - first;
    if (size < 32 && lanes != ((1u << size) - 1) << first) std::abort();
    if (threadIdx.x == 0 && blockIdx.x == 0) ++cuda_on_cpu::merges;
    auto &meetings = cuda_on_cpu::current->home->teams[__builtin_ctz(size)];
    return cuda_on_cpu::meet(meetings[threadIdx.x / size], rank, word)[rank ^ distance];
}
inline void __syncthreads() { cuda_on_cpu::meet(cuda_on_cpu::current->home->barrier, threadIdx.x, 0); }
inline void __nanosleep(unsigned) { cuda_on_cpu::pass_on(); }
inline void __threadfence() {}
inline unsigned atomicAdd(unsigned *at, unsigned much) {
    ++cuda_on_cpu::progress;
    unsigned before = *at;
    *at += much;
    return before;
}

template <class To, class From> inline To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}
// A volatile place keeps the operation between the two changes of mode.
template <class To, class Act> __attribute__((noinline)) To exactly(Act act) {
    if (!cuda_on_cpu::flushing) return act();
    cuda_on_cpu::Flush off(false);
    volatile To result = act();
    return result;
}
inline float exact_difference(float a, float b) {
    return exactly<float>([&] { return *(volatile float *)&a - b; });
}
inline float exact_product(float a, float b) {
    return exactly<float>([&] { return *(volatile float *)&a * b; });
}
inline float exact_minimum(float a, float b) {
    return exactly<float>([&] { return std::fmin(*(volatile float *)&a, b); });
}
inline float exact_maximum(float a, float b) {
    return exactly<float>([&] { return std::fmax(*(volatile float *)&a, b); });
}
inline double exact_double(float a) {
    return exactly<double>([&] { return (double)*(volatile float *)&a; });
}
inline float exact_float(double a) {
    return exactly<float>([&] { return (float)*(volatile double *)&a; });
}
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __int_as_float(int i) { return bits_as<float>(i); }
inline int __float_as_int(float x) { return bits_as<int>(x); }
inline double __longlong_as_double(long long i) { return bits_as<double>(i); }
inline long long __double_as_longlong(double x) { return bits_as<long long>(x); }
inline float __saturatef(float z) { return z > 0 ? std::fmin(z, 1.0f) : 0.0f; }
inline int __clz(int i) { return i ? __builtin_clz(i) : 32; }
// As on a device numbers that are too large become the largest. Here that would be a fault: scores are clipped before.
template <class To, class From> inline To rounded_down(From z) {
    if (!(z >= (From)std::numeric_limits<To>::min() && z < (From)std::numeric_limits<To>::max())) std::abort();
    return (To)std::floor(z);
}
inline int __float2int_rd(float z) { return rounded_down<int>(z); }
inline long long __double2ll_rd(double z) { return rounded_down<long long>(z); }
