/* versions.c: which libraries of numerical functions are at work, for records. Products are told apart by
 * as_products_by(), which opens their library. */
#include "library.h"

#ifdef HAVE_SLEEF
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#endif

#ifdef HAVE_SLEEF
/* SLEEF has no function that says its version: the name of the file it was loaded from does, "libsleef.so.3.5.1". */
const char *as_library_functions(void)
{
    static char text[80];
    Dl_info from;
    void *function = dlsym(RTLD_DEFAULT, "Sleef_expf_u10");
    char *path = function && dladdr(function, &from) && from.dli_fname ? realpath(from.dli_fname, NULL) : NULL;
    const char *slash = path ? strrchr(path, '/') : NULL;
    snprintf(text, sizeof text, "SLEEF (%s)", slash ? slash + 1 : "linked in");
    free(path);
    return text;
}
#else
const char *as_library_functions(void) { return "libm"; }
#endif
