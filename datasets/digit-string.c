/* digit-string: strings of digits turned round, sorted or added up, written behind the prompt in one stream: a task
 * with a prompt and an answer, to be decoded token by token.
 *
 * A prompt is n digits and the token `is`; the answer follows, and the token `end`, which is only ever a target:
 *     x        3 1 2 is 1 2 3           target   . . . 1 2 3 end       (sort; a dot is -1, no target)
 * reverse: the digits from the last to the first. sort: from the smallest to the largest. add: two numbers of n digits
 * with `plus` between them, each with its units first, and their sum, units first, one digit longer where it carries.
 * spellings = S: each digit of an answer is written in one of S ways, drawn independently and uniformly; those of a
 * prompt in the first. So there are S^n right answers to a prompt, and whoever writes one has to say, digit after
 * digit, which: what translations and other texts have, and sorted digits by themselves have not.
 * Tokens: digit c in spelling s is 10 s + c; then end = 10 S, is = 10 S + 1, plus = 10 S + 2.
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { int task, spellings; struct as_range digits; };
enum { REVERSE, SORT, ADD };
enum { X, TARGET };
enum { DRAW_COUNT, DRAW_DIGITS, DRAW_SPELLINGS };       /* sub-streams of one example */
enum { MOST = 256 };

static const struct as_option options[] = {
    { .key = "task", .type = AS_WORD, .offset = offsetof(struct options, task), .words = "reverse|sort|add",
      .def = SORT, .sweep = "reverse,sort,add", .help = "what is done with the digits" },
    { .key = "digits", .type = AS_RANGE, .offset = offsetof(struct options, digits), .words = "4..8", .min = 1,
      .max = MOST, .help = "n: digits of a prompt, or of each number; drawn uniformly" },
    { .key = "spellings", .type = AS_INT, .offset = offsetof(struct options, spellings), .def = 1, .min = 1, .max = 100,
      .sweep = "1,2", .help = "S: ways to write a digit of an answer" },
    { 0 }
};

static int32_t end_of(const struct options *o) { return 10 * o->spellings; }
static int32_t is_of(const struct options *o) { return 10 * o->spellings + 1; }
static int32_t plus_of(const struct options *o) { return 10 * o->spellings + 2; }

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = plus_of(o) + 1 };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->n_fields = 2;
    s->max_length = o->task == ADD ? 3 * o->digits.hi + 3 : 2 * o->digits.hi + 1;
    s->classes = plus_of(o) + 1;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* The answer's digits, without spelling; returns how many. */
static int solve(int task, int n, const int32_t *a, const int32_t *b, int32_t *digit)
{
    int count[10] = { 0 }, m = 0, carry = 0;
    for (int j = 0; j < n; j++)
        count[a[j]]++;
    for (int c = 0; c < 10 && task == SORT; c++)
        while (count[c]-- > 0)
            digit[m++] = c;
    for (int j = n - 1; j >= 0 && task == REVERSE; j--)
        digit[m++] = a[j];
    for (int j = 0; j < n && task == ADD; j++) {
        int sum = a[j] + b[j] + carry;
        digit[m++] = sum % 10;
        carry = sum / 10;
    }
    if (carry)
        digit[m++] = carry;
    return m;
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), digits = as_subkey(own, DRAW_DIGITS);
    struct as_key spellings = as_subkey(own, DRAW_SPELLINGS);
    int n = as_range_draw(o->digits, own, DRAW_COUNT), m;
    int32_t *x = e->i[X], *target = e->i[TARGET], answer[MOST + 1];
    ptrdiff_t t = 0;
    (void)split;            /* the key's role keeps the splits apart */
    for (; t < n; t++)
        x[t] = (int32_t)as_below(digits, (uint64_t)t, 10);
    if (o->task == ADD) {
        x[t++] = plus_of(o);
        for (; t < 2 * n + 1; t++)
            x[t] = (int32_t)as_below(digits, (uint64_t)t, 10);
    }
    m = solve(o->task, n, x, x + n + 1, answer);
    x[t] = is_of(o);
    for (ptrdiff_t j = 0; j < t; j++)
        target[j] = -1;
    for (int j = 0; j < m; j++)
        x[t + 1 + j] = target[t + j] = answer[j] + 10 * (int32_t)as_below(spellings, (uint64_t)j,
                                                                            (uint32_t)o->spellings);
    target[t + m] = end_of(o);
    e->length = t + m + 1;
}

/* --- judging, in any spelling ---------------------------------------------------------------------------------- */

static const char *wrong_digit(ptrdiff_t at, int want, int have)
{
    return as_say("digit-string: digit %td of the answer should be %d and is %d", at, want, have);
}

/* The k-th smallest of n digits has fewer than k of them below it, and k or more not above it. */
static const char *judge_sorted(int n, const int32_t *a, int m, const int32_t *digit)
{
    for (int k = 0; k < m && m == n; k++) {
        int below = 0, upto = 0;
        for (int j = 0; j < n; j++) {
            below += a[j] < digit[k];
            upto += a[j] <= digit[k];
        }
        if (below > k || upto <= k)
            return as_say("digit-string: digit %d of the answer is %d, not the next in order", k, (int)digit[k]);
    }
    return m == n ? NULL : as_say("digit-string: %d digits sorted are %d", n, m);
}

static const char *judge_reversed(int n, const int32_t *a, int m, const int32_t *digit)
{
    for (int k = 0; k < m && m == n; k++)
        if (digit[k] != a[n - 1 - k])
            return wrong_digit(k, (int)a[n - 1 - k], (int)digit[k]);
    return m == n ? NULL : as_say("digit-string: %d digits turned round are %d", n, m);
}

/* The sum less the second number is the first, with nothing left over and no zero in front. */
static const char *judge_sum(int n, const int32_t *a, const int32_t *b, int m, const int32_t *digit)
{
    int borrow = 0;
    if (m != n && (m != n + 1 || digit[n] != 1))
        return as_say("digit-string: a sum of two numbers of %d digits has %d, or a leading one other than 1", n, m);
    for (int k = 0; k < n; k++) {
        int left = (int)digit[k] - (int)b[k] - borrow, want = ((int)a[k] + (int)b[k] + borrow) % 10;
        borrow = left < 0;
        if (left + 10 * borrow != a[k])
            return wrong_digit(k, want, (int)digit[k]);
    }
    return borrow == m - n ? NULL : "digit-string: the carry of the last digit is wrong";
}

/* Reads n digits from x at `at`; -1 at anything else. */
static bool read_digits(const struct options *o, const int32_t *x, ptrdiff_t n, int32_t *digit, bool prompt)
{
    for (ptrdiff_t t = 0; t < n; t++) {
        if (x[t] < 0 || x[t] >= (prompt ? 10 : 10 * o->spellings))
            return false;
        digit[t] = x[t] % 10;
    }
    return true;
}

/* Targets are x one step later, from `is` on, and `end` at last; what they say is judged by the digits' values. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    const int32_t *x = e->i[X], *target = e->i[TARGET];
    int32_t first[MOST], second[MOST], digit[MOST + 1];
    ptrdiff_t is = 0, n, m;
    while (is < e->length && x[is] != is_of(o))
        is++;
    n = o->task == ADD ? (is - 1) / 2 : is;
    m = e->length - is - 1;
    if (is == e->length || n < o->digits.lo || n > o->digits.hi || m > MOST + 1 ||
        (o->task == ADD && (is != 2 * n + 1 || x[n] != plus_of(o))) || !read_digits(o, x, n, first, true) ||
        (o->task == ADD && !read_digits(o, x + n + 1, n, second, true)))
        return "digit-string: the prompt is not one";
    for (ptrdiff_t t = 0; t < e->length; t++) {
        int32_t want = t < is ? -1 : t < e->length - 1 ? x[t + 1] : end_of(o);
        if (target[t] != want)
            return as_say("digit-string: the target at step %td is %d, but should be %d", t, (int)target[t], (int)want);
    }
    if (!read_digits(o, x + is + 1, m, digit, false))
        return "digit-string: the answer holds what is not a digit";
    return o->task == SORT      ? judge_sorted((int)n, first, (int)m, digit)
           : o->task == REVERSE ? judge_reversed((int)n, first, (int)m, digit)
                                : judge_sum((int)n, first, second, (int)m, digit);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "strings of digits, reversed, sorted or added up behind the prompt, in one or several spellings",
    .origin = "a usual exercise for sequence-to-sequence models; the spellings are this program's",
    .licence = "generated",
    .surrogate = "stands in for translation (WMT 2014) where ways of decoding are compared: that data is large, and "
                 "near-ties between its words would decide",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__digit_string) = { .abi = ASSAY_ABI, .source = &source };
