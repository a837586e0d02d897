/* source-seed: an example is a pure function of options, split, seed and index: made again, in another order, in arrays
 * with other rubbish in them, it has the same bytes; and another seed gives other ones.
 */
#include "source.h"

enum { EXAMPLES = 40 };

static void repeat(struct check_run *r, struct source_try *t)
{
    for (int split = 0; split < AS_SPLITS && !r->failures; split++) {
        uint64_t first[EXAMPLES], seed = r->seed + 7, n = (uint64_t)source_examples(t, EXAMPLES);
        uint64_t alike = 0, various = 0;
        for (uint64_t i = 0; i < n; i++) {
            if (!source_make(r, t, (enum as_split)split, seed, i, 0x55))
                return;
            first[i] = source_hash(t, t->shape.n_fields);
            various += first[i] != first[0];          /* a split of a tiny universe may hold one example only */
        }
        for (uint64_t k = n; k-- > 0 && !r->failures;) {
            if (!source_make(r, t, (enum as_split)split, seed, k, 0x2a))
                return;
            check_did(r);
            if (source_hash(t, t->shape.n_fields) != first[k])
                check_fail(r, "%s, %s example %llu of seed %llu is another one the second time (all were made again, last "
                              "first); it may depend on its arguments only: no static state, no rand(), every valid element "
                              "written", source_text(t), source_split_name((enum as_split)split), (unsigned long long)k,
                           (unsigned long long)seed);
            if (!source_make(r, t, (enum as_split)split, seed + 1, k, 0x55))
                return;
            alike += source_hash(t, t->shape.n_fields) == first[k];
        }
        if (alike == n && various && !t->shape.count[split])
            check_fail(r, "%s, all %d %s examples are the same under seeds %llu and %llu; draw from the key", source_text(t),
                       (int)n, source_split_name((enum as_split)split), (unsigned long long)seed,
                       (unsigned long long)seed + 1);
    }
}

static void run(struct check_run *r) { source_each(r, repeat); }

const struct as_check AS_CHECK(source_seed) = {
    .name = "source-seed", .of = CHECK_SOURCE,
    .proves = "an example depends on options, split, seed and index alone; another seed gives others",
    .cannot = "that the draws are well distributed",
    .run = run,
};
