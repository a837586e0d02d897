/* source-answer: the labels are what answer() recomputes from the input; and answer() really looks, for each label made
 * wrong is noticed.
 */
#include "source.h"

#include <assay/error.h>

enum { EXAMPLES = 40, CORRUPTED = 4, PLACES = 64, LONG = 300 };

/* Makes label j wrong, asks, puts it back. */
static bool noticed(const struct source_try *t, int f, ptrdiff_t j)
{
    const struct as_data_field *field = &t->shape.field[f];
    bool seen;
    if (field->integer) {
        int32_t was = t->e.i[f][j];
        t->e.i[f][j] = (int32_t)((was + 1) % field->vocab);
        seen = t->source->answer(t->opt, &t->e) != NULL;
        t->e.i[f][j] = was;
    } else {
        float was = t->e.x[f][j];
        t->e.x[f][j] = was + 1e-3F;
        seen = t->source->answer(t->opt, &t->e) != NULL;
        t->e.x[f][j] = was;
    }
    return seen;
}

static void corrupt(struct check_run *r, struct source_try *t, int split, uint64_t index)
{
    int f = source_field(t, "target");
    ptrdiff_t n = source_items(t, f), places = t->e.length > LONG ? 4 : PLACES, step = n > places ? n / places : 1;
    if (t->shape.field[f].integer && t->shape.field[f].vocab < 2)
        return;
    for (ptrdiff_t j = n - 1; j >= 0 && !r->failures; j -= step) {
        check_did(r);
        if (!noticed(t, f, j))
            check_fail(r, "%s, %s example %llu: with target[%td] made wrong, answer() still agrees; it must recompute every "
                          "label", source_text(t), source_split_name((enum as_split)split), (unsigned long long)index, j);
    }
}

static void answers(struct check_run *r, struct source_try *t)
{
    if (source_field(t, "target") < 0) {
        check_fail(r, "%s it has no field called target", source_text(t));
        return;
    }
    bool slow = t->shape.max_length > 1000;  /* answer() may take the square of it: one example will do */
    for (int split = slow ? AS_TEST : AS_TRAIN; split < AS_SPLITS; split++)
        for (int i = 0, n = slow ? 1 : source_examples(t, EXAMPLES); i < n && !r->failures; i++) {
            if (!source_make(r, t, (enum as_split)split, r->seed + 7, (uint64_t)i, 0x55))
                return;
            uint64_t before = source_hash(t, t->shape.n_fields);
            const char *why = t->source->answer(t->opt, &t->e);
            check_did(r);
            if (why)
                check_fail(r, "%s, %s example %llu: the labels are not what answer() finds: %s", source_text(t),
                           source_split_name((enum as_split)split), (unsigned long long)i, why);
            else if (source_hash(t, t->shape.n_fields) != before)
                check_fail(r, "%s, answer() changed the example that it was to judge", source_text(t));
            else if (i < (t->e.length > LONG ? 1 : CORRUPTED))
                corrupt(r, t, split, (uint64_t)i);
        }
}

static void run(struct check_run *r) { source_each(r, answers); }

const struct as_check AS_CHECK(source_answer) = {
    .name = "source-answer", .of = CHECK_SOURCE,
    .proves = "labels equal what answer() recomputes, and answer() notices any single wrong label",
    .cannot = "a mistake that example() and answer() share",
    .run = run,
};
