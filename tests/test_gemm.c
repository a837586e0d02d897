/* test_gemm.c: products against plain loops in double; same bits at 1, 2, 3 and 4 threads, for products and for the
 * operators that are built on pieces; the pool itself.
 */
#include <assay/error.h>
#include <assay/kernel.h>
#include <assay/ops.h>
#include <assay/parallel.h>
#include <float.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static float *numbers(ptrdiff_t n, uint64_t stream)
{
    float *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (ptrdiff_t i = 0; i <= n; i++)
        x[i] = as_uniform((struct as_key){ 1, AS_ROLE_TEST_HARNESS, stream }, (uint64_t)i) - 0.5f;
    return x;
}

struct shape { ptrdiff_t m, n, k; };

static const struct shape shapes[] = {
    { 1, 1, 1 }, { 1, 1, 5000 }, { 1, 37, 53 }, { 41, 1, 29 }, { 1, 300, 3000 }, { 2000, 1, 700 }, { 32, 1, 9001 },
    { 2, 3, 5 }, { 7, 7, 7 }, { 16, 16, 16 }, { 17, 33, 65 }, { 31, 5, 300 }, { 64, 64, 64 }, { 67, 71, 73 },
    { 8, 48, 600 }, { 97, 101, 103 }, { 640, 96, 32 }, { 96, 32, 2560 }, { 13, 11, 20011 }, { 300, 800, 70 },
    { 1100, 40, 70 }, { 300, 40, 600 }, { 260, 70, 530 }, { 5, 6, 0 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Every entry within (k + 4) roundings of the sum of absolute values; what lies beside C stays. */
static void check(const struct shape *s, int ta, int tb, float alpha, float beta, ptrdiff_t extra, int one)
{
    ptrdiff_t m = s->m, n = s->n, k = s->k, lda = (ta ? m : k) + extra, ldb = (tb ? k : n) + extra, ldc = n + extra;
    float *A = numbers((ta ? k : m) * lda, 1), *B = numbers((tb ? n : k) * ldb, 2), *C = numbers(m * ldc, 3);
    float *was = numbers(m * ldc, 3);
    if (beta == 0.0f)                            /* must not be read */
        for (ptrdiff_t i = 0; i < m; i++)
            for (ptrdiff_t j = 0; j < n; j++)
                C[i * ldc + j] = NAN;
    (one ? as_gemm_one : as_gemm)(ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < ldc; j++) {
            double sum = 0, size = 0, before = (double)was[i * ldc + j];
            if (j >= n) {
                assert_true(C[i * ldc + j] == was[i * ldc + j]);
                continue;
            }
            for (ptrdiff_t p = 0; p < k; p++) {
                double v = (double)A[ta ? p * lda + i : i * lda + p] * (double)B[tb ? j * ldb + p : p * ldb + j];
                sum += v;
                size += fabs(v);
            }
            double exact = (double)alpha * sum + (beta == 0.0f ? 0 : (double)beta * before);
            size = fabs((double)alpha) * size + fabs((double)beta * before);
            double error = fabs((double)C[i * ldc + j] - exact);
            if (!(error <= (double)FLT_EPSILON * (double)(k + 4) * size))
                fail_msg("(%td, %td, %td) ta %d tb %d: entry (%td, %td) is %g, not %g", m, n, k, ta, tb, i, j,
                         (double)C[i * ldc + j], exact);
        }
    free(A);
    free(B);
    free(C);
    free(was);
}

static void products_are_right(void **state)
{
    (void)state;
    as_threads_set(2);
    for (int s = 0; s < SHAPES; s++)
        for (int flags = 0; flags < 4; flags++) {
            check(shapes + s, flags & 1, flags >> 1, 1.0f, 0.0f, 0, 0);
            check(shapes + s, flags & 1, flags >> 1, -0.75f, 1.0f, 3, 1);
            if (shapes[s].m * shapes[s].n * shapes[s].k < 1000000)
                check(shapes + s, flags & 1, flags >> 1, 2.0f, 0.5f, 5, 0);
        }
}

/* Runs a case at 1 to 4 threads; each must leave the same bytes in out. */
static void same_at_any_team(void (*run)(const void *what, float *out), const void *what, ptrdiff_t n, const char *name)
{
    float *first = malloc((size_t)n * sizeof *first), *again = malloc((size_t)n * sizeof *again);
    for (int threads = 1; threads <= 4; threads++)
        for (int repeat = 0; repeat < 2; repeat++) {
            float *out = threads == 1 && repeat == 0 ? first : again;
            memset(out, 0, (size_t)n * sizeof *out);
            as_threads_set(threads);
            run(what, out);
            if (memcmp(out, first, (size_t)n * sizeof *out) != 0)
                fail_msg("%s: %d threads give other bits than one", name, threads);
        }
    free(first);
    free(again);
    as_threads_set(2);
}

static float *a_values, *b_values;               /* large enough for every shape below */

static void run_gemm(const void *what, float *out)
{
    const struct shape *s = what;
    for (int flags = 0; flags < 4; flags++)
        as_gemm(flags & 1, flags >> 1, s->m, s->n, s->k, 1.0f, a_values, flags & 1 ? s->m : s->k, b_values,
                flags >> 1 ? s->k : s->n, 0.0f, out + flags * s->m * s->n, s->n);
}

static void run_gemm_one(const void *what, float *out)
{
    const struct shape *s = what;
    for (int flags = 0; flags < 4; flags++)
        as_gemm_one(flags & 1, flags >> 1, s->m, s->n, s->k, 1.0f, a_values, flags & 1 ? s->m : s->k, b_values,
                    flags >> 1 ? s->k : s->n, 0.0f, out + flags * s->m * s->n, s->n);
}

struct pieces { const struct shape *s; float *out; };

static void piece_of_gemm(void *ctx, ptrdiff_t i)
{
    const struct pieces *p = ctx;
    run_gemm_one(p->s, p->out + i * 4 * p->s->m * p->s->n);
}

static const struct shape large[] = {
    { 256, 256, 256 }, { 2560, 96, 32 }, { 96, 32, 2560 }, { 1, 512, 4096 }, { 4096, 1, 512 }, { 512, 1, 4096 },
    { 700, 900, 300 }, { 33, 1000, 1000 }, { 100, 100, 5000 }, { 1000, 50, 1000 }, { 127, 131, 137 },
};
enum { LARGE = sizeof large / sizeof *large, MOST = 900 * 1000 * 5 };

static void gemm_same_bits(void **state)
{
    (void)state;
    for (int s = 0; s < LARGE; s++) {
        ptrdiff_t n = 4 * large[s].m * large[s].n;
        same_at_any_team(run_gemm, large + s, n, "gemm");
        float *team = malloc((size_t)n * sizeof *team), *one = malloc((size_t)(3 * n) * sizeof *one);
        run_gemm(large + s, team);
        run_gemm_one(large + s, one);
        assert_memory_equal(team, one, (size_t)n * sizeof *team);
        as_parallel(3, 1e9, piece_of_gemm, &(struct pieces){ large + s, one });
        for (int i = 0; i < 3; i++)
            assert_memory_equal(team, one + i * n, (size_t)n * sizeof *team);
        free(team);
        free(one);
    }
}

struct batch { ptrdiff_t count; struct shape s; ptrdiff_t stride_b; };

static void run_bgemm(const void *what, float *out)
{
    const struct batch *b = what;
    const struct shape *s = &b->s;
    for (int flags = 0; flags < 4; flags++)
        as_bgemm(b->count, flags & 1, flags >> 1, s->m, s->n, s->k, 0.5f, a_values, flags & 1 ? s->m : s->k,
                 s->m * s->k, b_values, flags >> 1 ? s->k : s->n, b->stride_b, 0.0f,
                 out + flags * b->count * s->m * s->n, s->n, s->m * s->n);
}

static void bgemm_same_bits_as_gemm(void **state)
{
    (void)state;
    static const struct batch batches[] = {
        { 300, { 16, 16, 16 }, 256 }, { 64, { 40, 40, 24 }, 960 }, { 9, { 100, 100, 100 }, 10000 },
        { 3, { 300, 300, 200 }, 0 }, { 10, { 64, 32, 4000 }, 128000 }, { 50, { 1, 64, 300 }, 19200 },
        { 2, { 60, 60, 8000 }, 480000 },
    };
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        const struct batch *b = batches + i;
        const struct shape *s = &b->s;
        ptrdiff_t each = s->m * s->n;
        same_at_any_team(run_bgemm, b, 4 * b->count * each, "bgemm");
        float *all = malloc((size_t)(4 * b->count * each) * sizeof *all), *one = malloc((size_t)each * sizeof *one);
        run_bgemm(b, all);
        for (int flags = 0; flags < 4; flags++)
            for (ptrdiff_t j = 0; j < b->count; j++) {
                as_gemm(flags & 1, flags >> 1, s->m, s->n, s->k, 0.5f, a_values + j * s->m * s->k,
                        flags & 1 ? s->m : s->k, b_values + j * b->stride_b, flags >> 1 ? s->k : s->n, 0.0f, one,
                        s->n);
                assert_memory_equal(one, all + (flags * b->count + j) * each, (size_t)each * sizeof *one);
            }
        free(all);
        free(one);
    }
}

/* ---- Operators, forward and back: outputs and all gradients into one array ---- */

static struct as_node *input(struct as_tape *t, int rank, const ptrdiff_t *dims, const float *x, float **room)
{
    ptrdiff_t n = 1;
    for (int j = 0; j < rank; j++)
        n *= dims[j];
    float *dx = *room;
    *room += n;
    return as_node_wrap(t, rank, dims, (float *)(uintptr_t)x, dx);
}

enum op { CONV1D, CONV2D, CAUSAL, SCAN, SCAN_CONSTANT, SCAN_COMPLEX, LINEAR };

static struct as_node *apply(struct as_tape *t, enum op op, float **room)
{
    const float *a = a_values, *b = b_values;
#define IN(x, ...) input(t, (int)(sizeof((ptrdiff_t[]){ __VA_ARGS__ }) / sizeof(ptrdiff_t)), \
                         (ptrdiff_t[]){ __VA_ARGS__ }, x, room)
    switch (op) {
    case CONV1D: {
        struct as_node *x = IN(a, 9, 201, 24), *w = IN(b, 40, 24, 5), *bias = IN(a + 7, 40);
        return as_conv1d(t, x, w, bias, (struct as_conv){ .stride = { 2 }, .dilation = { 2 }, .pad_before = { 8 } });
    }
    case CONV2D: {
        struct as_node *x = IN(a, 5, 30, 31, 12), *w = IN(b, 20, 6, 3, 3), *bias = IN(a + 7, 20);
        return as_conv2d(t, x, w, bias, (struct as_conv){ .pad_before = { 1, 1 }, .pad_after = { 1, 1 }, .groups = 2 });
    }
    case CAUSAL: {
        struct as_node *x = IN(a, 6, 500, 96), *w = IN(b, 96, 4), *bias = IN(a + 7, 96);
        return as_conv_causal(t, x, w, bias);
    }
    case SCAN: {
        struct as_node *g = IN(a, 7, 200, 130), *x = IN(b, 7, 200, 130), *h = IN(a + 7, 7, 130);
        return as_scan(t, g, x, h);
    }
    case SCAN_CONSTANT: {
        struct as_node *g = IN(a, 130), *x = IN(b, 7, 200, 130);
        return as_scan(t, g, x, NULL);
    }
    case SCAN_COMPLEX: {
        struct as_node *g = IN(a, 7, 200, 70, 2), *x = IN(b, 7, 200, 70, 2), *h = IN(a + 7, 7, 70, 2);
        return as_scan_complex(t, g, x, h);
    }
    default: {
        struct as_node *x = IN(a, 64, 40, 32), *w = IN(b, 96, 32), *bias = IN(a + 7, 96);
        return as_linear(t, x, w, bias);
    }
    }
}

static void run_op(const void *what, float *out)
{
    struct as_tape *t = as_tape_new();
    as_arena_poison(as_tape_arena(t), 1);
    struct as_node *y = apply(t, *(const enum op *)what, &out);
    ptrdiff_t n = as_node_size(y);
    memcpy(out, y->x, (size_t)n * sizeof *out);
    struct as_node *flat = as_reshape(t, y, 2, (ptrdiff_t[]){ 1, n });
    as_backward(t, as_matmul(t, flat, as_node_wrap(t, 2, (ptrdiff_t[]){ n, 1 }, b_values + 11, NULL)), 1.0f);
    as_tape_free(t);
}

static void operators_same_bits(void **state)
{
    (void)state;
    for (enum op op = CONV1D; op <= LINEAR; op++)
        same_at_any_team(run_op, &op, 2000000, "an operator");
}

/* ---- The pool ---- */

static void note_thread(void *ctx, ptrdiff_t i)
{
    int *seen = ctx;
    volatile float tiny = FLT_MIN;
    seen[i] = omp_get_max_threads() == 1 && tiny / 4 == 0.0f ? 1 : -1;
}

static void nested(void *ctx, ptrdiff_t i)
{
    int *seen = ctx;
    as_parallel(10, 1e9, note_thread, seen + 10 * i);
}

static void pool(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        int seen[1000] = { 0 };
        as_threads_set(threads);
        assert_int_equal(as_threads(), threads);
        assert_int_equal(as_threads_seen(), threads);
        assert_int_equal(omp_get_max_threads(), 1);
        as_parallel(100, 1e9, nested, seen);     /* denormals are zero and libraries get one thread, everywhere */
        for (int i = 0; i < 1000; i++)
            assert_int_equal(seen[i], 1);
    }
}

int main(void)
{
    a_values = numbers(MOST, 1);
    b_values = numbers(MOST, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_right),
        cmocka_unit_test(gemm_same_bits),
        cmocka_unit_test(bgemm_same_bits_as_gemm),
        cmocka_unit_test(operators_same_bits),
        cmocka_unit_test(pool),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}
