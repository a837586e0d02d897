/* library.h: what core needs of a library for matrix products in float. One constant per wrapped library; a library
 * that was not there at configure time has sgemm NULL. Calls run on the calling thread alone.
 */
#ifndef ASSAY_LIB_LIBRARY_H
#define ASSAY_LIB_LIBRARY_H

#include "../kernel/kernels.h"
#include <stdbool.h>

struct as_library {
    /* Once, before the first product: binds the library to the processor level. False: it cannot be used; the
     * sentence (static) is left in *about. True: *about has name and version, for records. */
    bool (*open)(const char **about);
    void (*sgemm)(const struct as_product *p);
};

extern const struct as_library as_library_onednn, as_library_blas;

/* Name and version of what computes exp, tanh and the like; static, for records. */
const char *as_library_functions(void);

#endif
