/* onednn.c: matrix products by oneDNN's dnnl_sgemm (2.x and 3.x), whose C interface is row-major.
 *
 * The processor level binds it through dnnl_set_max_cpu_isa(): portable is SSE4.1 there, avx2 and avx512 are
 * themselves (so AMX stays off, and a record's level says what ran). This must come before oneDNN's first use.
 */
#include "library.h"

#ifdef HAVE_DNNL
#include "../parallel_private.h"
#include <assay/parallel.h>
#include <dnnl.h>
#include <stdio.h>

static bool open_onednn(const char **about)
{
    static char text[160];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d (%s)", v->major, v->minor, v->patch, as_level_name(as_level()));
    *about = text;
#if defined(__x86_64__)
    static const dnnl_cpu_isa_t isa[] = { dnnl_cpu_isa_sse41, dnnl_cpu_isa_avx2, dnnl_cpu_isa_avx512_core };
    if (dnnl_set_max_cpu_isa(isa[as_level()]) != dnnl_success) {
        snprintf(text, sizeof text, "oneDNN cannot be bound to the processor level %s: it was in use before",
                 as_level_name(as_level()));
        return false;
    }
#endif
    return true;
}

/* Only wrong arguments make dnnl_sgemm fail, or want of memory. */
static void sgemm(const struct as_product *p)
{
    dnnl_status_t status = dnnl_sgemm(p->ta ? 'T' : 'N', p->tb ? 'T' : 'N', p->m, p->n, p->k, p->alpha, p->A, p->lda,
                                      p->B, p->ldb, p->beta, p->C, p->ldc);
    if (status != dnnl_success)
        as_parallel_no_memory();
}

const struct as_library as_library_onednn = { open_onednn, sgemm };
#else
const struct as_library as_library_onednn = { 0 };
#endif
