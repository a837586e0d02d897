/* versions.c: which libraries of numerical functions are at work, for records. Products are told apart by
 * as_products_by(), which opens their library. */
#include "library.h"

#include <stdio.h>

#ifdef HAVE_SLEEF
#include <sleef.h>
#endif

/* FFTW's own name is "fftw-3.3.10-sse2-avx"; the library that runs says it, not the header. */
#ifdef HAVE_FFTW3F
extern const char fftwf_version[];
#endif

const char *as_library_functions(void)
{
#ifdef HAVE_SLEEF
    static char text[40];
    snprintf(text, sizeof text, "SLEEF %d.%d", SLEEF_VERSION_MAJOR, SLEEF_VERSION_MINOR);
    return text;
#else
    return "libm";
#endif
}

const char *as_library_transforms(void)
{
#ifdef HAVE_FFTW3F
    return fftwf_version;
#else
    return "own";
#endif
}
