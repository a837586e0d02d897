/* Unpacking: gzip and zlib streams, members of zip archives.
 * Input: a line with the member's name (empty: a stream), then the bytes.
 * Covers: core/lib/inflate.c
 */
#include "fuzz.h"

#include <assay/source.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *member = fuzz_take(&data, &size, '\n');
    unsigned char *packed = malloc(size ? size : 1);
    const char *why = NULL;
    size_t n = 1;
    memcpy(packed, data, size);
    unsigned char *out = as_inflate((struct as_bytes){ packed, size }, *member ? member : NULL, &n, &why);
    fuzz_promise(out ? !why : why && *why && n == 0);
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += out[i];                                  /* all of it is there */
    fuzz_promise(sum <= 255 * n);
    free(out);
    free(packed);
    free(member);
    return 0;
}
