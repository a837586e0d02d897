/* source-size: an example is 1 to max_length steps long and stays within its arrays, at every end of every option; and the
 * longest length that is declared is about what is needed: half of it at least comes up.
 */
#include "source.h"

enum { EXAMPLES = 400 };

static void sizes(struct check_run *r, struct source_try *t)
{
    ptrdiff_t longest = 0;
    int examples = source_examples(t, EXAMPLES);
    for (int split = 0; split < AS_SPLITS; split++)
        for (int i = 0; i < examples; i++) {
            if (!source_make(r, t, (enum as_split)split, r->seed + 7, (uint64_t)i, 0x55))
                return;
            check_did(r);
            longest = t->e.length > longest ? t->e.length : longest;
        }
    if (2 * longest < t->shape.max_length && examples > 20)
        check_fail(r, "%s, the longest of %d examples has %td steps and its shape declares %td; room is taken for all of them",
                   source_text(t), AS_SPLITS * examples, longest, t->shape.max_length);
}

static void run(struct check_run *r) { source_each(r, sizes); }

const struct as_check AS_CHECK(source_size) = {
    .name = "source-size", .of = CHECK_SOURCE,
    .proves = "examples are 1 to max_length steps long and stay within their arrays",
    .cannot = "lengths rarer than one in a thousand",
    .run = run,
};
