/* blas.c: matrix products by a BLAS with the C interface, where oneDNN is not there.
 *
 * The library is loaded at the first product and not linked: OpenBLAS chooses its kernels and starts its threads
 * while it is loaded, and Debian 12's takes recent Xeons for a Prescott, at a fifth to a tenth of the speed. So the
 * core type that goes with our processor level, and one thread, are put into the environment first. A program that
 * has loaded OpenBLAS by other means keeps what it chose then; the name in the record tells.
 */
#include "library.h"

#ifdef HAVE_CBLAS
#include "../parallel_private.h"
#include <assay/parallel.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* As in cblas.h, which is not included because nothing of it is linked. */
enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 };
typedef void cblas_sgemm_t(int order, int ta, int tb, int m, int n, int k, float alpha, const float *A, int lda,
                           const float *B, int ldb, float beta, float *C, int ldc);

static cblas_sgemm_t *cblas_sgemm_found;

/* A data pointer into a function pointer, which ISO C lets nobody cast. */
static void find(void *library, const char *symbol, void *pointer)
{
    *(void **)pointer = dlsym(library, symbol);
}

static bool open_blas(const char **about)
{
    static const char *const names[] = { "libopenblas.so.0", "libcblas.so.3", "libblas.so.3" };
    static char text[200];
    *about = text;
#if defined(__x86_64__)
    static const char *const core[] = { "Penryn", "Haswell", "SkylakeX" };
    setenv("OPENBLAS_CORETYPE", core[as_level()], 1);
#endif
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            continue;
        find(library, "cblas_sgemm", &cblas_sgemm_found);
        if (!cblas_sgemm_found)
            continue;
        void (*one_thread)(int) = NULL;
        char *(*core_name)(void) = NULL;
        find(library, "openblas_set_num_threads", &one_thread);
        find(library, "openblas_get_corename", &core_name);
        if (one_thread)
            one_thread(1);
        snprintf(text, sizeof text, "%s (%s)", core_name ? "OpenBLAS" : names[i],
                 core_name ? core_name() : as_level_name(as_level()));
        return true;
    }
    snprintf(text, sizeof text, "no BLAS with cblas_sgemm can be loaded; install libopenblas0 or build with oneDNN");
    return false;
}

static void sgemm(const struct as_product *p)
{
    cblas_sgemm_found(ROW_MAJOR, p->ta ? TRANSPOSE : NO_TRANSPOSE, p->tb ? TRANSPOSE : NO_TRANSPOSE, (int)p->m,
                      (int)p->n, (int)p->k, p->alpha, p->A, (int)p->lda, p->B, (int)p->ldb, p->beta, p->C,
                      (int)p->ldc);
}

const struct as_library as_library_blas = { open_blas, sgemm };
#else
const struct as_library as_library_blas = { 0 };
#endif
